"""Sessions, as a backend offers them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from toolbox_process.engine.ends import Reason
from toolbox_process.engine.output import Output
from toolbox_process.engine.waiting import IsDisconnected
from toolbox_process.engine.waiting import never
from toolbox_process.sessions.models import CommandInfo
from toolbox_process.sessions.models import SessionExecuteRequest
from toolbox_process.sessions.models import SessionInfo

ENTRYPOINT = "entrypoint"
"""The session of the configured entrypoint; clients can't change it."""


class SessionCommand(Output, Protocol):
    """One command of a session."""

    def info(self) -> CommandInfo:
        """Return the command as clients are shown it."""


class Session(Protocol):
    """A shell that keeps its state."""

    @property
    def reason(self) -> Reason | None:
        """The reason for its end, None until then."""

    def info(self) -> SessionInfo:
        """Return the session as clients are shown it."""

    def command(self, command_id: str) -> SessionCommand:
        """Return one of its commands. Raises ProcessNotFound."""


class Sessions(Protocol):
    """The sessions by id."""

    def create(self, session_id: str, at_home: bool) -> str:
        """Start one, in the home directory if ``at_home``; return a note for the client.

        Raises BadRequest, AlreadyExists.
        """

    def list(self) -> Sequence[Session]:
        """Return all sessions but the entrypoint's, the oldest first."""

    def get(self, session_id: str) -> Session:
        """Return a session. Raises ProcessNotFound."""

    def entrypoint(self) -> SessionCommand:
        """Return the command of the configured entrypoint. Raises ProcessNotFound."""

    def delete(self, session_id: str) -> None:
        """End a session and everything it has started. Raises BadRequest, ProcessNotFound."""

    def execute(
        self,
        session_id: str,
        request: SessionExecuteRequest,
        is_disconnected: IsDisconnected = never,
    ) -> SessionCommand:
        """Run a command. If the request asks for it, wait for its end, until the client
        ``is_disconnected()``.

        Raises BadRequest, ProcessNotFound, SessionEnded, TooManyWaiting, ClientLeft.
        """

    def send_input(self, session_id: str, command_id: str, data: str) -> None:
        """Write a line to a command's standard input.

        Raises BadRequest, ProcessNotFound, SessionEnded, CommandCompleted, InputUnavailable.
        """


class HasSessions(Protocol):
    """The part of a backend that the operations of sessions need."""

    max_result: int
    """Bytes of a stream in one JSON response."""

    @property
    def sessions(self) -> Sessions:
        """The sessions."""
