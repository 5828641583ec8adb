"""All sessions, by id."""

from __future__ import annotations

import shlex
import threading
from pathlib import Path

from toolbox.errors import BadRequest
from toolbox_process.command import Command
from toolbox_process.engine import Engine
from toolbox_process.errors import AlreadyExists
from toolbox_process.execute import check_text
from toolbox_process.session import Session
from toolbox_process.shells import find_shell
from toolbox_process.shells import session_arguments

ENTRYPOINT = "entrypoint"
"""The session of the program the service was told to run; clients can only look at it."""

ENTRYPOINT_COMMAND = "entrypoint_command"


class LocalSessions:
    """See :class:`toolbox_process.backend.Sessions`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._sessions: dict[str, Session | None] = {}
        if program := engine.settings.entrypoint:
            self._start(ENTRYPOINT, None).submit(
                shlex.join(program), wait=False, echo=False, command_id=ENTRYPOINT_COMMAND
            )

    def _start(self, session_id: str, cwd: str | None) -> Session:
        with self._lock:
            if session_id in self._sessions:
                raise AlreadyExists(f"session {session_id!r} exists")
            self._sessions[session_id] = None  # The id is taken while the shell starts.
        try:
            shell = find_shell(self._engine.settings.shell)
            session = Session(self._engine, session_id, session_arguments(shell), cwd)
        except BaseException:
            with self._lock:
                del self._sessions[session_id]
            raise
        with self._lock:
            self._sessions[session_id] = session
        return session

    def create(self, session_id: str, at_home: bool) -> None:
        check_text("the session id", session_id)
        self._refuse_entrypoint(session_id)
        self._start(session_id, str(Path.home()) if at_home else None)

    def list(self) -> list[Session]:
        with self._lock:
            sessions = list(self._sessions.values())
        return [each for each in sessions if each is not None and each.id != ENTRYPOINT]

    def get(self, session_id: str) -> Session:
        with self._lock:
            session = self._sessions.get(session_id)
        if session is None:
            raise self._engine.not_there(f"session {session_id!r}")
        return session

    def entrypoint(self) -> Command:
        return self.get(ENTRYPOINT).command(ENTRYPOINT_COMMAND)

    def delete(self, session_id: str) -> None:
        self._refuse_entrypoint(session_id)
        session = self.get(session_id)
        session.end()
        with self._lock:
            if self._sessions.get(session_id) is session:
                del self._sessions[session_id]

    def execute(self, session_id: str, command: str, wait: bool, echo: bool) -> Command:
        self._refuse_entrypoint(session_id)
        if not command.strip():
            raise BadRequest("the command is empty")
        check_text("the command", command)
        session = self.get(session_id)
        if not wait:
            return session.submit(command, wait, echo)
        with self._engine.waiting():
            submitted = session.submit(command, wait, echo)
            submitted.done.wait()
        return submitted

    def send_input(self, session_id: str, command_id: str, data: str) -> None:
        self._refuse_entrypoint(session_id)
        session = self.get(session_id)
        text = data if data.endswith("\n") else data + "\n"
        session.send_input(session.command(command_id), text.encode("utf-8", "surrogateescape"))

    def cancel(self, command: Command) -> None:
        """End a command of whichever session it is."""
        for session in self.list():
            if command in session.commands():
                session.cancel(command, self._engine.settings.grace)

    @staticmethod
    def _refuse_entrypoint(session_id: str) -> None:
        if session_id == ENTRYPOINT:
            raise BadRequest("the entrypoint session belongs to the service")
