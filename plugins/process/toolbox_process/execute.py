"""Commands that are waited for: ``execute``."""

from __future__ import annotations

import os
from collections.abc import Mapping

from toolbox.clock import awake
from toolbox.errors import BadRequest
from toolbox.variables import is_variable_name
from toolbox_process.engine import Engine
from toolbox_process.errors import ClientLeft
from toolbox_process.errors import ExecutionTimeout
from toolbox_process.errors import NotEnded
from toolbox_process.job import Job
from toolbox_process.job import Kind
from toolbox_process.job import ProcessJob
from toolbox_process.job import Reason
from toolbox_process.models import ExecuteRequest
from toolbox_process.shells import command_line
from toolbox_process.spec import Spec
from toolbox_process.spool import Spool
from toolbox_process.waiting import Gone
from toolbox_process.waiting import never
from toolbox_process.waiting import wait_for


def check_text(name: str, text: str) -> str:
    """``text``, if a program can be given it. Raises BadRequest."""
    if "\0" in text:
        raise BadRequest(f"{name} has a NUL character")
    return text


def check_environment(envs: Mapping[str, str | None] | None) -> dict[str, str]:
    """Variables as they are set. Raises BadRequest for what no environment can hold."""
    checked: dict[str, str] = {}
    for name, value in (envs or {}).items():
        if not is_variable_name(name):
            raise BadRequest(f"{name!r} is no name of an environment variable")
        checked[name] = check_text(f"the variable {name}", value or "")
    return checked


def wait_or_end(engine: Engine, job: ProcessJob, timeout: int | None, gone: Gone) -> None:
    """Wait for the end, and make one when the time is over. Raises ExecutionTimeout, ClientLeft."""
    begun = awake()
    try:
        if wait_for(job.done, timeout, gone):
            return
    except ClientLeft:
        if timeout:
            left = max(0.0, begun + timeout - awake())
            engine.loop.call_later(left, lambda: _end_late(engine, job))
        raise
    headers = {"X-Toolbox-Job": job.id}
    try:
        engine.end(job, Reason.TIMEOUT, engine.settings.timeout_grace)
    except NotEnded as error:
        engine.end_soon(job, Reason.TIMEOUT, engine.settings.timeout_grace)
        raise ExecutionTimeout(
            f"command execution timeout: still running after {timeout} s, and {error.message}",
            headers,
        ) from None
    if job.reason is Reason.TIMEOUT or not job.done.is_set():
        raise ExecutionTimeout(
            f"command execution timeout: still running after {timeout} s, so it was ended", headers
        )


def _end_late(engine: Engine, job: ProcessJob) -> None:
    if not job.done.is_set():
        engine.end_soon(job, Reason.TIMEOUT, engine.settings.timeout_grace)


def execute(
    engine: Engine, request: ExecuteRequest, spool: Spool, gone: Gone = never, split: bool = False
) -> Job:
    """Run a command, its output into ``spool``, and wait for its end.

    Raises BadRequest, SpawnFailed, ExecutionTimeout, ClientLeft.
    """
    if not request.command.strip():
        raise BadRequest("the command is empty")
    check_text("the command", request.command)
    envs = check_environment(request.envs)
    shell = engine.shell()
    with engine.places.one():
        arguments, script = command_line(shell, request.command, engine.state.path)
        try:
            job = engine.start(
                Spec(
                    Kind.EXECUTE,
                    request.command,
                    arguments,
                    check_text("cwd", request.cwd or ""),
                    envs,
                    split=split,
                    pass_fds=() if script is None else (script,),
                ),
                spool,
            )
        finally:
            if script is not None:
                os.close(script)
        wait_or_end(engine, job, request.timeout, gone)
    return job
