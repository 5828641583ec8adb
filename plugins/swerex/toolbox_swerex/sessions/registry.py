"""All sessions, by name."""

from __future__ import annotations

import secrets
import threading

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
from toolbox_swerex.sessions.session import BashSession
from toolbox_swerex.sessions.shell import IsDisconnected
from toolbox_swerex.sessions.shell import Shell

OUT, ERR = 0, 1


class Sessions:
    """The sessions of all clients. *Any thread.* Every method raises RemoteError."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._sessions: dict[str, BashSession] = {}

    def create(self, request: CreateSession, is_disconnected: IsDisconnected) -> str:
        """Start a session; return the output of its start."""
        terminals = process_of(self._context).terminals
        with self._lock:
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
            session = self._sessions.pop(name, None)
        if session is None:
            raise no_session(name)
        session.close()

    def close_all(self) -> None:
        """End all sessions."""
        with self._lock:
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
