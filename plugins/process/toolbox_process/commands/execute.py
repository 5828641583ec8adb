"""One-shot commands: ``execute``."""

from __future__ import annotations

import os

from toolbox.errors import BadRequest
from toolbox.errors import Unavailable
from toolbox.linux.clock import awake
from toolbox_process.commands.models import ExecuteRequest
from toolbox_process.engine.checks import check_environment
from toolbox_process.engine.checks import check_text
from toolbox_process.engine.ends import Reason
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.job import Job
from toolbox_process.engine.job import Kind
from toolbox_process.engine.job import ProcessJob
from toolbox_process.engine.shells import command_line
from toolbox_process.engine.spec import Spec
from toolbox_process.engine.spool import Spool
from toolbox_process.engine.waiting import IsDisconnected
from toolbox_process.engine.waiting import never
from toolbox_process.engine.waiting import wait_for
from toolbox_process.errors import ClientLeft
from toolbox_process.errors import ExecutionTimeout
from toolbox_process.errors import NotEnded


def wait_or_end(
    engine: Engine,
    job: ProcessJob,
    timeout: int | None,
    is_disconnected: IsDisconnected,
    begun: float,
) -> None:
    """Wait for the end, and kill the job ``timeout`` seconds after ``begun``, a time of
    :func:`toolbox.linux.clock.awake`: that in which the service was frozen (docker pause) doesn't
    count. Raises ExecutionTimeout, ClientLeft.
    """
    if job.done.is_set():
        return
    job.due = begun + timeout if timeout else None
    left = None if job.due is None else max(0.001, job.due - awake())
    try:
        if wait_for(job.done, left, is_disconnected):
            return
    except (ClientLeft, Unavailable) as error:
        # The result has lost its reader, but the time limit still applies.
        if timeout:
            engine.limit(job, max(0.0, begun + timeout - awake()))
        if isinstance(error, Unavailable):
            raise Unavailable(f"{error.message} for job {job.id}", error.headers) from None
        raise
    try:
        engine.end(job, Reason.TIMEOUT, engine.settings.timeout_grace)
    # The client gets its error now; the pool goes on trying.
    except NotEnded as error:
        engine.end_soon(job, Reason.TIMEOUT, engine.settings.timeout_grace)
        raise ExecutionTimeout(
            f"command execution timeout: still running after {timeout} s: {error.message}",
            job.id,
        ) from None
    # A command that ended by itself just before the signal keeps its result.
    if job.reason is Reason.TIMEOUT or not job.done.is_set():
        raise ExecutionTimeout(f"command execution timeout: killed after {timeout} s", job.id)


def execute(
    engine: Engine,
    request: ExecuteRequest,
    spool: Spool,
    is_disconnected: IsDisconnected = never,
    split: bool = False,
) -> Job:
    """Run a command, its output into ``spool``, and wait for its end.

    Raises BadRequest, SpawnFailed, ExecutionTimeout, ClientLeft.
    """
    if not request.command.strip():
        raise BadRequest("the command is empty")
    check_text("the command", request.command)
    envs = check_environment(request.envs)
    shell, begun = engine.shell(), awake()
    with engine.waiting.admitted():
        arguments, script = command_line(shell, request.command, engine.state.path)
        try:
            job = engine.start_and_wait(
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
        wait_or_end(engine, job, request.timeout, is_disconnected, begun)
    return job
