"""All sessions, by id."""

from __future__ import annotations

import threading

from toolbox.errors import BadRequest
from toolbox_process.engine.checks import check_environment
from toolbox_process.engine.checks import check_text
from toolbox_process.engine.ends import Reason
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.shells import SHELL_NAME
from toolbox_process.engine.shells import session_arguments
from toolbox_process.engine.waiting import IsDisconnected
from toolbox_process.engine.waiting import never
from toolbox_process.engine.waiting import wait_for
from toolbox_process.errors import AlreadyExists
from toolbox_process.errors import CommandCompleted
from toolbox_process.errors import SessionEnded
from toolbox_process.sessions.command import Command
from toolbox_process.sessions.command import Task
from toolbox_process.sessions.ending import cancel
from toolbox_process.sessions.ending import send_signal
from toolbox_process.sessions.entrypoint import ENTRYPOINT_COMMAND
from toolbox_process.sessions.entrypoint import EntrypointCommand
from toolbox_process.sessions.entrypoint import EntrypointSession
from toolbox_process.sessions.entrypoint import FindJob
from toolbox_process.sessions.models import SessionExecuteRequest
from toolbox_process.sessions.previous_worker import PreviousSession
from toolbox_process.sessions.previous_worker import find_previous_sessions
from toolbox_process.sessions.protocol import ENTRYPOINT
from toolbox_process.sessions.runner import CommandRunner
from toolbox_process.sessions.session import Session


class LocalSessions:
    """See :class:`toolbox_process.sessions.protocol.Sessions`."""

    def __init__(self, engine: Engine, find_entrypoint: FindJob) -> None:
        self._engine = engine
        self._entrypoint = EntrypointSession(engine, find_entrypoint)
        self._lock = threading.Lock()
        self._sessions: dict[str, Session | None] = {}
        self._previous = find_previous_sessions(engine) if engine.restarted else {}
        if self._previous:
            engine.loop.call_later(engine.settings.keep_seconds, self._forget_previous)

    def alive(self) -> list[Session]:
        """Return every session there is, the entrypoint's, too."""
        with self._lock:
            return [session for session in self._sessions.values() if session is not None]

    def are_replacing(self) -> bool:
        """Report whether a session is getting another shell."""
        return any(session.runner.replacing for session in self.alive())

    def restore(self, session: Session) -> None:
        """List a session that goes on after an upgrade."""
        with self._lock:
            self._sessions[session.id] = session

    def _start(self, session_id: str, cwd: str | None) -> Session:
        with self._lock:
            if session_id in self._sessions:
                raise AlreadyExists(f"session already exists: {session_id!r}")
            self._sessions[session_id] = None  # Reserves the id while the shell starts.
        journal = self._engine.journals.open(session_id)
        try:
            shell = self._engine.shell()
            runner = CommandRunner(self._engine, session_id, session_arguments(shell), cwd)
            session = Session(self._engine, session_id, journal, runner)
            journal.create()
        # The id becomes free again, whatever has gone wrong.
        except BaseException:
            with self._lock:
                del self._sessions[session_id]
            raise
        with self._lock:
            self._sessions[session_id] = session
            previous = self._previous.pop(session_id, None)
        if previous is not None:
            previous.remove()
        return session

    def _remove_previous(self, previous: PreviousSession) -> None:
        with self._lock:
            if self._previous.get(previous.id) is previous:
                del self._previous[previous.id]
        previous.remove()

    def _forget_previous(self) -> None:
        """Forget the sessions of previous workers. On the loop: the pool deletes the files."""
        for previous in list(self._previous.values()):
            self._engine.pool.submit(self._remove_previous, previous)

    def create(self, session_id: str, at_home: bool) -> str:
        check_text("the session id", session_id)
        self._refuse_entrypoint(session_id)
        cwd = str(self._engine.launcher.home()) if at_home else None
        note = self._engine.note(cwd)
        self._start(session_id, cwd)
        return note

    def _alive(self) -> list[Session]:
        return [session for session in self._sessions.values() if session is not None]

    def list(self) -> list[Session | PreviousSession]:
        with self._lock:
            return [*self._previous.values(), *self._alive()]

    def get(self, session_id: str) -> Session | PreviousSession | EntrypointSession:
        if session_id == ENTRYPOINT:
            return self._entrypoint
        return self._get(session_id)

    def _get(self, session_id: str) -> Session | PreviousSession:
        with self._lock:
            session = self._sessions.get(session_id) or self._previous.get(session_id)
        if session is None:
            raise self._engine.not_there("session", session_id)
        return session

    def _get_alive(self, session_id: str) -> Session:
        session = self._get(session_id)
        if isinstance(session, PreviousSession):
            raise SessionEnded(
                f"session {session_id!r} ended when the service was restarted",
                Reason.DAEMON_RESTART.value,
            )
        return session

    def entrypoint(self) -> EntrypointCommand:
        return self._entrypoint.command(ENTRYPOINT_COMMAND)

    def delete(self, session_id: str) -> None:
        self._refuse_entrypoint(session_id)
        session = self._get(session_id)
        if isinstance(session, PreviousSession):
            self._remove_previous(session)
            return
        try:
            session.end()
        finally:
            with self._lock:
                # A session that could not be ended stays, and can be deleted again.
                if session.ended and self._sessions.get(session_id) is session:
                    del self._sessions[session_id]

    def execute(
        self,
        session_id: str,
        request: SessionExecuteRequest,
        is_disconnected: IsDisconnected = never,
    ) -> Command:
        self._refuse_entrypoint(session_id)
        if not request.command.strip():
            raise BadRequest("the command is empty")
        task = Task(
            check_text("the command", request.command),
            request.wait,
            not request.suppress_input_echo,
            check_text("cwd", request.cwd or "") or None,
            _check_assignable(check_environment(request.envs)),
        )
        session = self._get_alive(session_id)
        if not task.wait:
            return session.submit(task)
        # Only requests that wait are limited; the others return at once.
        with self._engine.waiting.admitted():
            command = session.submit(task)
            wait_for(command.done, None, is_disconnected)
        return command

    def send_input(self, session_id: str, command_id: str, data: str) -> None:
        self._refuse_entrypoint(session_id)
        session = self._get_alive(session_id)
        text = data if data.endswith("\n") else data + "\n"
        session.runner.send_input(
            session.command(command_id), text.encode("utf-8", "surrogateescape")
        )

    def cancel(self, command_id: str) -> None:
        """End a command, in whichever session it is. Raises NotEnded."""
        if found := self._find(command_id):
            session, command = found
            cancel(session.runner, command, self._engine.settings.grace)

    def signal(self, command_id: str, number: int, tree: bool) -> None:
        """Send a signal to a command, in whichever session it is. Raises CommandCompleted."""
        found = self._find(command_id)
        if found is None:
            raise CommandCompleted(f"command {command_id!r} has ended")
        session, command = found
        send_signal(session.runner, command, number, tree)

    def _find(self, command_id: str) -> tuple[Session, Command] | None:
        """Return a command with its session, None if that is deleted or has forgotten it."""
        with self._lock:
            sessions = [session for session in self._sessions.values() if session is not None]
        for session in sessions:
            for command in session.commands():
                if command.id == command_id:
                    return session, command
        return None

    @staticmethod
    def _refuse_entrypoint(session_id: str) -> None:
        if session_id == ENTRYPOINT:
            raise BadRequest("the entrypoint session is read-only")


def _check_assignable(envs: dict[str, str]) -> dict[str, str]:
    """Return ``envs`` if a running shell can set them. Raises BadRequest."""
    for name in envs:
        if not SHELL_NAME.fullmatch(name):
            raise BadRequest(f"{name!r} can't be set by the shell of a session")
    return envs
