"""The tools of the group ``process``: commands in the shell, each of them a job."""

from __future__ import annotations

import signal
from collections.abc import Generator
from typing import Annotated

import msgspec
from msgspec import Meta
from toolbox_process.engine.ends import Reason
from toolbox_process.engine.excerpt import Excerpt
from toolbox_process.engine.job import Job
from toolbox_process.errors import ClientLeft
from toolbox_process.jobs.models import OutputQuery
from toolbox_process.jobs.models import SignalRequest
from toolbox_process.jobs.models import StartJobRequest
from toolbox_process.jobs.protocol import Jobs
from toolbox_process.jobs.responses import read_output

from toolbox.errors import ToolboxError
from toolbox.linux.clock import awake
from toolbox_mcp import content
from toolbox_mcp.tool import Call
from toolbox_mcp.tool import Progress
from toolbox_mcp.tool import Tool
from toolbox_mcp.tool import ToolResult
from toolbox_mcp.tools.arguments import Arguments

STEP = 1.0
"""Seconds between two reports of progress."""

Command = Annotated[str, Meta(min_length=1, description="Command line for the shell.")]
Directory = Annotated[str, Meta(description="Directory to run it in.")] | None
Environment = Annotated[
    dict[str, str | None], Meta(description="More environment variables; null removes one.")
]
JobId = Annotated[str, Meta(min_length=1, max_length=128, description="Id of a command.")]
Wait = Annotated[float, Meta(ge=0, le=600, description="Seconds to wait for its end.")]


class Run(Arguments, frozen=True, kw_only=True):
    """A command to wait for."""

    command: Command
    cwd: Directory = None
    env: Environment = {}
    timeout: Annotated[
        int, Meta(ge=1, le=86400, description="Seconds after which it is ended.")
    ] = 120


class Start(Arguments, frozen=True, kw_only=True):
    """A command that goes on."""

    command: Command
    cwd: Directory = None
    env: Environment = {}


class Output(Arguments, frozen=True, kw_only=True):
    """Output to read."""

    job_id: JobId
    offset: Annotated[
        int, Meta(ge=0, description="Byte to read from: nextOffset of an earlier result.")
    ] = 0
    wait: Wait = 0


class Input(Arguments, frozen=True, kw_only=True):
    """Input to send."""

    job_id: JobId
    text: Annotated[str, Meta(description="Text to send; a line ends with a newline.")] = ""
    eof: Annotated[bool, Meta(description="Close the input after the text.")] = False


class Kill(Arguments, frozen=True, kw_only=True):
    """A command to end."""

    job_id: JobId
    signal: Annotated[
        str,
        Meta(description="Signal for it and all it started, such as INT; without one it is ended."),
    ] = ""


class Finished(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A command that was waited for."""

    job_id: str
    output: str
    exit_code: int
    reason: str
    truncated: bool
    log_file: str = ""


class Started(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A command that was started."""

    job_id: str


class Piece(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Output of a command."""

    job_id: str
    output: str
    next_offset: int
    done: bool
    exit_code: int | None = None
    log_file: str = ""


def run_command(call: Call, arguments: Run) -> Generator[Progress, None, ToolResult]:
    """Run a command and wait for its end."""
    jobs: Jobs = call.backends["process"].jobs
    request = StartJobRequest(
        command=arguments.command,
        cwd=arguments.cwd,
        envs=arguments.env,
        timeout=arguments.timeout,
    )
    job, _ = jobs.start(request)
    started = awake()
    try:
        while not job.done.is_set():
            jobs.wait(job.id, STEP, call.is_abandoned)
            size = job.spool.end
            yield Progress(awake() - started, f"running, {size} bytes of output")
    except (ClientLeft, GeneratorExit):
        # Before 2026-07-28 a connection that broke ends nothing.
        if call.is_canceled():
            jobs.end(job.id)
        raise
    except ToolboxError:
        jobs.end(job.id)  # Nobody would learn of it.
        raise
    return _finished(call, job, arguments.timeout)


def _finished(call: Call, job: Job, timeout: int) -> ToolResult:
    limit = call.settings.max_output
    log_file = keep_output(call, job) if job.spool.end > limit else ""
    excerpt = Excerpt(job.spool, None, limit, log_file)
    output = "".join(excerpt.pieces())
    reason = job.reason or Reason.EXITED
    found = Finished(
        job_id=job.id,
        output=output,
        exit_code=job.status,
        reason=reason.value,
        truncated=bool(excerpt.dropped),
        log_file=log_file,
    )
    result = content.structured(found, f"{output}\n{_end(job, timeout)}".lstrip("\n"))
    failed = reason in (Reason.TIMEOUT, Reason.SPAWN_FAILED)
    return msgspec.structs.replace(result, is_error=failed)


def keep_output(call: Call, job: Job) -> str:
    """Write all output of a job to a file, and return its path."""
    return call.logs.keep(f"{job.id}.log", (chunk.data for chunk in job.spool.chunks()))


def _end(job: Job, timeout: int) -> str:
    if job.reason is Reason.TIMEOUT:
        return f"[timed out after {timeout} seconds and was ended; start_command has no timeout]"
    if job.reason in (None, Reason.EXITED):
        return f"[exit code {job.status}]"
    return f"[exit code {job.status}, {job.reason}]"


def start_command(call: Call, arguments: Start) -> ToolResult:
    """Start a command."""
    request = StartJobRequest(
        command=arguments.command, cwd=arguments.cwd, envs=arguments.env, stdin=True
    )
    job, _ = call.backends["process"].jobs.start(request)
    text = f"started with the id {job.id}; get_output shows its output"
    return content.structured(Started(job_id=job.id), text)


def get_output(call: Call, arguments: Output) -> Generator[Progress, None, ToolResult]:
    """Return output of a command from an offset on."""
    jobs: Jobs = call.backends["process"].jobs
    job = jobs.get(arguments.job_id)
    started, until = awake(), awake() + arguments.wait
    while not job.done.is_set() and awake() < until and not call.is_abandoned():
        jobs.wait(job.id, min(STEP, until - awake()), call.is_abandoned)
        yield Progress(awake() - started, f"running, {job.spool.end} bytes of output")
    return _piece(call, job, arguments.offset)


def _piece(call: Call, job: Job, offset: int) -> ToolResult:
    limit = call.settings.max_output
    query = OutputQuery(offset=offset, limit=limit, encoding="text")
    found = read_output(job, query)
    left = job.spool.end - found.next_offset
    log_file = keep_output(call, job) if left > limit and job.done.is_set() else ""
    output = "".join(piece.data for piece in found.pieces)
    piece = Piece(
        job_id=job.id,
        output=output,
        next_offset=found.next_offset,
        done=found.done,
        exit_code=job.exit_code,
        log_file=log_file,
    )
    notes = [f"[{found.gap} bytes before this are no longer kept]"] if found.gap else []
    notes += [output] if output else []
    notes.append(_state(job, left, found.next_offset, log_file))
    return content.structured(piece, "\n".join(notes))


def _state(job: Job, left: int, offset: int, log_file: str) -> str:
    if left > 0:
        where = f"; all of it is in {log_file}" if log_file else ""
        return f"[{left} more bytes; go on with offset={offset}{where}]"
    if job.exit_code is None:
        return f"[still running; go on with offset={offset}]"
    return f"[exit code {job.exit_code}]"


def send_input(call: Call, arguments: Input) -> str:
    """Write to the input of a command."""
    jobs: Jobs = call.backends["process"].jobs
    jobs.write(arguments.job_id, arguments.text.encode(), arguments.eof)
    return "sent"


def kill(call: Call, arguments: Kill) -> str:
    """End a command, or send it a signal."""
    jobs: Jobs = call.backends["process"].jobs
    if not arguments.signal:
        job = jobs.end(arguments.job_id)
        return f"ended, exit code {job.exit_code}"
    number = SignalRequest(signal=arguments.signal, tree=True).number()
    jobs.signal(arguments.job_id, number, True)
    return f"sent {signal.Signals(number).name}"


TOOLS = (
    Tool(
        name="run_command",
        description="Run a command in the shell and wait for its end. Returns its output, standard "
        "error included, and its exit code. Of a long output the beginning and the end are "
        "returned, and the name of a file with all of it. It reads no input.",
        arguments=Run,
        run=run_command,
        result=Finished,
        destructive=True,
        open_world=True,
    ),
    Tool(
        name="start_command",
        description="Start a command in the background, such as a server, or one that reads "
        "input. Returns its id for get_output, send_input and kill.",
        arguments=Start,
        run=start_command,
        result=Started,
        destructive=True,
        open_world=True,
    ),
    Tool(
        name="get_output",
        description="Get output of a command from an offset on, and whether it has ended. With "
        "wait, first wait for its end that long.",
        arguments=Output,
        run=get_output,
        result=Piece,
        read_only=True,
    ),
    Tool(
        name="send_input",
        description="Send text to the standard input of a command started by start_command.",
        arguments=Input,
        run=send_input,
        destructive=True,
        open_world=True,
    ),
    Tool(
        name="kill",
        description="End a command and all it started, or send a signal to them.",
        arguments=Kill,
        run=kill,
        destructive=True,
        idempotent=True,
    ),
)
