"""All sessions, by id."""

from __future__ import annotations

import shlex
import threading

from toolbox.errors import BadRequest
from toolbox.variables import home_directory
from toolbox_process.command import Command
from toolbox_process.command import Task
from toolbox_process.engine import Engine
from toolbox_process.errors import AlreadyExists
from toolbox_process.errors import CommandCompleted
from toolbox_process.errors import SessionEnded
from toolbox_process.execute import check_environment
from toolbox_process.execute import check_text
from toolbox_process.job import Reason
from toolbox_process.output import END_REASON
from toolbox_process.past import PastSession
from toolbox_process.past import find_past
from toolbox_process.session import Session
from toolbox_process.session_ending import cancel
from toolbox_process.session_ending import send_signal
from toolbox_process.session_models import SessionExecuteRequest
from toolbox_process.shells import SHELL_NAME
from toolbox_process.shells import session_arguments
from toolbox_process.waiting import Gone
from toolbox_process.waiting import never
from toolbox_process.waiting import wait_for

ENTRYPOINT = "entrypoint"
"""The session of the program the service was told to run; clients can only look at it."""

ENTRYPOINT_COMMAND = "entrypoint_command"


class LocalSessions:
    """See :class:`toolbox_process.backend.Sessions`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._sessions: dict[str, Session | None] = {}
        self._past = find_past(engine) if engine.restarted else {}
        if self._past:
            engine.loop.call_later(engine.settings.keep_seconds, self._forget_past)
        if program := engine.settings.entrypoint:
            session = self._start(ENTRYPOINT, None)
            task = Task(shlex.join(program), wait=False, command_id=ENTRYPOINT_COMMAND)
            session.submit(session.new_command(task))

    def _start(self, session_id: str, cwd: str | None) -> Session:
        with self._lock:
            if session_id in self._sessions:
                raise AlreadyExists(f"session already exists: {session_id!r}")
            self._sessions[session_id] = None  # The id is taken while the shell starts.
        journal = self._engine.journals.open(session_id)
        if session_id == ENTRYPOINT:
            journal.remove()  # It is run again by the next worker, whose log is the one to show.
        try:
            shell = self._engine.shell()
            session = Session(self._engine, session_id, session_arguments(shell), cwd, journal)
        except BaseException:
            with self._lock:
                del self._sessions[session_id]
            raise
        with self._lock:
            self._sessions[session_id] = session
            past = self._past.pop(session_id, None)
        if past is not None:
            past.remove()
        return session

    def _remove_past(self, past: PastSession) -> None:
        with self._lock:
            if self._past.get(past.id) is past:
                del self._past[past.id]
        past.remove()

    def _forget_past(self) -> None:
        """They are old now. On the loop, which waits for no disk."""
        for past in list(self._past.values()):
            self._engine.pool.submit(self._remove_past, past)

    def create(self, session_id: str, at_home: bool) -> dict[str, str]:
        check_text("the session id", session_id)
        self._refuse_entrypoint(session_id)
        cwd = str(home_directory()) if at_home else None
        note = self._engine.note(cwd)
        self._start(session_id, cwd)
        return note

    def _alive(self) -> list[Session]:
        sessions = self._sessions.values()
        return [each for each in sessions if each is not None and each.id != ENTRYPOINT]

    def list(self) -> list[Session | PastSession]:
        with self._lock:
            return [*self._past.values(), *self._alive()]

    def get(self, session_id: str) -> Session | PastSession:
        with self._lock:
            session = self._sessions.get(session_id) or self._past.get(session_id)
        if session is None:
            raise self._engine.not_there("session", session_id)
        return session

    def _get_alive(self, session_id: str) -> Session:
        session = self.get(session_id)
        if isinstance(session, PastSession):
            raise SessionEnded(
                f"session {session_id!r} has ended with the worker it ran in",
                {END_REASON: Reason.DAEMON_RESTART.value},
            )
        return session

    def entrypoint(self) -> Command:
        return self._get_alive(ENTRYPOINT).command(ENTRYPOINT_COMMAND)

    def delete(self, session_id: str) -> None:
        self._refuse_entrypoint(session_id)
        session = self.get(session_id)
        if isinstance(session, PastSession):
            self._remove_past(session)
            return
        try:
            session.end()
        finally:
            with self._lock:
                if session.ended and self._sessions.get(session_id) is session:
                    del self._sessions[session_id]

    def execute(
        self, session_id: str, request: SessionExecuteRequest, gone: Gone = never
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
            return session.submit(session.new_command(task))
        with self._engine.places.one():
            command = session.submit(session.new_command(task))
            wait_for(command.done, None, gone)
        return command

    def send_input(self, session_id: str, command_id: str, data: str) -> None:
        self._refuse_entrypoint(session_id)
        session = self._get_alive(session_id)
        text = data if data.endswith("\n") else data + "\n"
        session.send_input(session.command(command_id), text.encode("utf-8", "surrogateescape"))

    def cancel(self, command: Command) -> None:
        """End a command of whichever session it is. Raises NotEnded."""
        if session := self._find(command):
            cancel(session, command, self._engine.settings.grace)

    def signal(self, command: Command, number: int, tree: bool) -> None:
        """Send a signal to a command of whichever session it is. Raises CommandCompleted."""
        session = self._find(command)
        if session is None:
            raise CommandCompleted(f"command {command.id!r} has ended")
        send_signal(session, command, number, tree)

    def _find(self, command: Command) -> Session | None:
        with self._lock:
            sessions = [each for each in self._sessions.values() if each is not None]
        return next((each for each in sessions if command in each.commands()), None)

    @staticmethod
    def _refuse_entrypoint(session_id: str) -> None:
        if session_id == ENTRYPOINT:
            raise BadRequest("the entrypoint session belongs to the service")


def _check_assignable(envs: dict[str, str]) -> dict[str, str]:
    """``envs``, if a shell that runs already can set them. Raises BadRequest."""
    for name in envs:
        if not SHELL_NAME.fullmatch(name):
            raise BadRequest(f"{name!r} is no name that the shell of a session can set")
    return envs
