"""The service ``entrypoint`` as the session that the Daytona Toolbox API shows it as."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import UNSET

from toolbox.sockets.loop import Loop
from toolbox_process.engine.end_event import EndEvent
from toolbox_process.engine.ends import Reason
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.job import Job
from toolbox_process.engine.spool import Spool
from toolbox_process.errors import ProcessNotFound
from toolbox_process.sessions.models import CommandInfo
from toolbox_process.sessions.models import SessionInfo
from toolbox_process.sessions.protocol import ENTRYPOINT

ENTRYPOINT_COMMAND = "entrypoint_command"

FindJob = Callable[[], Job | None]
"""Returns the present or last run of the entrypoint, None if there was none."""


class EntrypointCommand:
    """See :class:`toolbox_process.sessions.protocol.SessionCommand`."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self.loop: Loop = job.loop
        self.spool: Spool = job.spool
        self.done: EndEvent = job.done
        self.id = job.id
        self.follow = job.follow
        self.unfollow = job.unfollow

    @property
    def exit_code(self) -> int | None:
        return self._job.exit_code

    @property
    def reason(self) -> Reason | None:
        return self._job.reason

    def info(self) -> CommandInfo:
        exit_code = UNSET if self.exit_code is None else self.exit_code
        return CommandInfo(id=ENTRYPOINT_COMMAND, command=self._job.label, exit_code=exit_code)


class EntrypointSession:
    """See :class:`toolbox_process.sessions.protocol.Session`. It has one command, and no shell."""

    reason: Reason | None = None

    def __init__(self, engine: Engine, find_job: FindJob) -> None:
        self._engine = engine
        self._find_job = find_job

    def info(self) -> SessionInfo:
        command = self.command(ENTRYPOINT_COMMAND)
        return SessionInfo(session_id=ENTRYPOINT, commands=[command.info()])

    def command(self, command_id: str) -> EntrypointCommand:
        # Asked each time: by a restart another run takes the place.
        job = self._find_job()
        if job is None:
            raise self._engine.not_there("session", ENTRYPOINT)
        if command_id != ENTRYPOINT_COMMAND:
            raise ProcessNotFound(f"command not found: {command_id!r} in session {ENTRYPOINT!r}")
        return EntrypointCommand(job)
