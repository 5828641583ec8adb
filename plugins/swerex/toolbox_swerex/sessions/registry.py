"""All sessions, by name."""

from __future__ import annotations

import secrets
import threading
from contextlib import suppress

from toolbox.errors import ToolboxError
from toolbox.lifecycle import Context
from toolbox_swerex.engines import Execute
from toolbox_swerex.engines import process_of
from toolbox_swerex.errors import incorrect_syntax
from toolbox_swerex.errors import no_session
from toolbox_swerex.errors import session_exists
from toolbox_swerex.models import BashAction
from toolbox_swerex.models import BashInterrupt
from toolbox_swerex.models import CreateSession
from toolbox_swerex.models import Observation
from toolbox_swerex.sessions.handover import SessionState
from toolbox_swerex.sessions.session import BashSession
from toolbox_swerex.sessions.shell import IsDisconnected
from toolbox_swerex.sessions.shell import Shell
from toolbox_swerex.sessions.shell import Standing

OUT, ERR = 0, 1


class Sessions:
    """The sessions of all clients. *Any thread.* Every method raises RemoteError."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._sessions: dict[str, BashSession] = {}
        self._handed_over: list[SessionState] = []

    # An upgrade in place

    def export(self) -> list[SessionState]:
        """Return what runs, for the next version of the service."""
        states = []
        with self._lock:
            self._find_all()
            for name, session in self._sessions.items():
                if not session.ended:
                    terminal, token, number = session.standing()
                    state = SessionState(name=name, terminal=terminal, token=token, number=number)
                    states.append(state)
        return states

    def restore(self, states: list[SessionState]) -> None:
        """Know the sessions that an earlier version has started."""
        # Their terminals are looked for when they are needed: the group may come after this one.
        self._handed_over = states

    def _find_all(self) -> None:
        """Enter what was handed over. With the lock."""
        states, self._handed_over = self._handed_over, []
        for state in states:
            terminals = process_of(self._context).terminals
            standing = Standing(state.terminal, state.token, state.number)
            with suppress(ToolboxError):  # It has ended, or could not be taken over.
                shell = Shell(terminals, "", standing)
                self._sessions[state.name] = BashSession(shell, self._check_syntax)

    def create(self, request: CreateSession, is_disconnected: IsDisconnected) -> str:
        """Start a session; return the output of its start."""
        terminals = process_of(self._context).terminals
        with self._lock:
            self._find_all()
            found = self._sessions.get(request.session)
            if found is not None and not found.ended:
                raise session_exists(request.session)
            shell = Shell(terminals, str(self._context.work_dir))
            session = BashSession(shell, self._check_syntax)
            self._sessions[request.session] = session
        # Not under the lock: bash takes a moment to start.
        try:
            return session.start(request, is_disconnected)
        except BaseException:
            self._forget(request.session, session)
            session.close()
            raise

    def run(
        self, action: BashAction | BashInterrupt, is_disconnected: IsDisconnected
    ) -> Observation:
        """Run an action in its session."""
        with self._lock:
            self._find_all()
            session = self._sessions.get(action.session)
        if session is None:
            raise no_session(action.session)
        try:
            return session.run(action, is_disconnected)
        finally:
            # Its name can be used again.
            if session.ended:
                self._forget(action.session, session)

    def close(self, name: str) -> None:
        """End a session and everything it has started."""
        with self._lock:
            self._find_all()
            session = self._sessions.pop(name, None)
        if session is None:
            raise no_session(name)
        session.close()

    def close_all(self) -> None:
        """End all sessions."""
        with self._lock:
            self._find_all()
            sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            session.close()

    def _forget(self, name: str, session: BashSession) -> None:
        with self._lock:
            if self._sessions.get(name) is session:
                del self._sessions[name]

    def _check_syntax(self, command: str) -> None:
        end = f"SWEREX{secrets.token_hex(8)}"
        commands = process_of(self._context).commands
        # In another bash: what this one can't parse would leave the session's waiting for more.
        check = Execute(command=f"bash -n <<'{end}'\n{command}\n{end}", timeout=60)
        with commands.execute(check, bool, separate=True) as finished:
            if finished.job.exit_code:
                stdout = commands.text(finished.job, OUT).text
                stderr = commands.text(finished.job, ERR).text
                raise incorrect_syntax(
                    f"bash can't parse {command!r}: {stderr}{stdout}", stdout, stderr
                )
