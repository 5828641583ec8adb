"""Starting a job: from a client's request to the program."""

from __future__ import annotations

import base64
import binascii
import os
import shlex
from contextlib import ExitStack

from toolbox.errors import BadRequest
from toolbox.errors import InvalidBody
from toolbox.linux.nameless import nameless_file
from toolbox_process.engine.checks import check_environment
from toolbox_process.engine.checks import check_text
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.job import Kind
from toolbox_process.engine.job import ProcessJob
from toolbox_process.engine.launcher import TerminalSize
from toolbox_process.engine.shells import command_line
from toolbox_process.engine.spec import PIPE
from toolbox_process.engine.spec import Spec
from toolbox_process.engine.stdin_writer import MAX_PENDING
from toolbox_process.jobs.filed import FiledSpool
from toolbox_process.jobs.filed import open_output
from toolbox_process.jobs.models import StartJobRequest

TERM = "xterm-256color"


def start_job(engine: Engine, request: StartJobRequest) -> ProcessJob:
    """Start the program of a request that was checked. Raises BadRequest, SpawnFailed."""
    envs = check_environment(request.envs)
    data = _input_bytes(request)
    with ExitStack() as files:
        arguments, pass_fds = _arguments(engine, request, files)
        stdin = PIPE if request.stdin else None
        if data and not request.stdin and request.pty is None:
            # A file: it takes no memory of ours if the job never reads, and no pump.
            stdin = nameless_file(data, engine.state.path)
            files.callback(os.close, stdin)
        terminal = TerminalSize(request.pty.rows, request.pty.cols) if request.pty else None
        spec = Spec(
            Kind.JOB,
            request.command or shlex.join(request.argv or ()),
            arguments,
            request.cwd,
            {"TERM": TERM, **envs} if terminal else envs,
            stdin=stdin,
            split=True,
            pass_fds=pass_fds,
            job_id=request.id or "",
            user=request.user or "",
            limits=request.limits if request.limits and request.limits.given() else None,
            terminal=terminal,
        )
        spool = _filed_spool(engine, request)
        try:
            job = engine.start(spec, spool)
        except BaseException:
            if spool is not None:
                spool.close_file()
            raise
    if spool is not None:
        engine.loop.call_soon(lambda: job.when_ended(spool.close_file))
    if data and stdin in (PIPE, None) and job.stdin is not None:
        job.stdin.write(data)
    if request.timeout:
        engine.limit(job, request.timeout)
    return job


def check_request(request: StartJobRequest) -> None:
    """Raise BadRequest, or InvalidBody, for what no program can be given."""
    if (request.command is None) == (request.argv is None):
        raise InvalidBody("either command or argv is required")
    if request.argv is None and not (request.command or "").strip():
        raise BadRequest("the command is empty")
    if request.argv is not None and not request.argv[0]:
        raise BadRequest("argv: the program's name is empty")
    check_text("the command", request.command or "")
    check_text("cwd", request.cwd or "")
    check_text("user", request.user or "")
    check_text("outputFile", request.output_file or "")
    for argument in request.argv or ():
        check_text("an argument", argument)


def _input_bytes(request: StartJobRequest) -> bytes:
    text = request.input or ""
    try:
        data = (
            base64.b64decode(text, validate=True)
            if request.input_encoding == "base64"
            else text.encode("utf-8", "surrogatepass")
        )
    except (binascii.Error, ValueError):
        raise BadRequest("input: not base64") from None
    if len(data) > MAX_PENDING and (request.stdin or request.pty):
        raise BadRequest(
            f"input: the limit with stdin or pty is {MAX_PENDING} bytes; send the rest"
        )
    return data


def _arguments(
    engine: Engine, request: StartJobRequest, files: ExitStack
) -> tuple[list[str], tuple[int, ...]]:
    """Return the program with its arguments, and the descriptors to pass on."""
    if request.argv is not None:
        return list(request.argv), ()
    arguments, script = command_line(engine.shell(), request.command or "", engine.state.path)
    if script is None:
        return arguments, ()
    files.callback(os.close, script)
    return arguments, (script,)


def _filed_spool(engine: Engine, request: StartJobRequest) -> FiledSpool | None:
    if request.output_file is None:
        return None
    user = request.user or ""
    directory = engine.directory(request.cwd)
    if user and not request.cwd:
        directory = engine.launcher.outfit(user, engine.work_dir)[0]
    path = directory / request.output_file
    fd = open_output(engine.launcher, path, user)
    return FiledSpool(engine.settings, engine.state.path, path, fd)
