"""What a backend of the group ``process`` can do.

Everything that runs is seen through :class:`Output`; how it is run is the backend's business.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Sequence
from typing import Protocol

from toolbox.loop import Loop
from toolbox.response import Answer
from toolbox_process.job import Reason
from toolbox_process.models import ExecuteRequest
from toolbox_process.session_models import CommandInfo
from toolbox_process.session_models import SessionInfo
from toolbox_process.spool import Spool


class Output(Protocol):
    """Something that runs or has run, by what comes out of it."""

    loop: Loop
    spool: Spool
    done: threading.Event
    """Set when it has ended and its output is complete."""

    @property
    def id(self) -> str:
        """Unique in this service."""

    @property
    def exit_code(self) -> int | None:
        """None until it has ended."""

    @property
    def reason(self) -> Reason | None:
        """Why it has ended, None until then."""

    def follow(self, listener: Callable[[], object]) -> None:
        """Call ``listener()`` on the loop, now, after each output and at the end."""

    def unfollow(self, listener: Callable[[], object]) -> None:
        """Undo :meth:`follow`."""


class SessionCommand(Output, Protocol):
    """One command of a session."""

    def info(self) -> CommandInfo:
        """What clients are shown."""


class Session(Protocol):
    """A shell that keeps its state."""

    def info(self) -> SessionInfo:
        """What clients are shown."""

    def command(self, command_id: str) -> SessionCommand:
        """One of its commands. Raises ProcessNotFound."""


class Sessions(Protocol):
    """The sessions by id."""

    def create(self, session_id: str, at_home: bool) -> None:
        """Start one, in the home directory if ``at_home``. Raises BadRequest, AlreadyExists."""

    def list(self) -> Sequence[Session]:
        """All but the entrypoint's, the oldest first."""

    def get(self, session_id: str) -> Session:
        """Raises ProcessNotFound."""

    def entrypoint(self) -> SessionCommand:
        """The program the service was told to run. Raises ProcessNotFound."""

    def delete(self, session_id: str) -> None:
        """End it with all it has started. Raises BadRequest, ProcessNotFound."""

    def execute(self, session_id: str, command: str, wait: bool, echo: bool) -> SessionCommand:
        """Run a command, and wait for its end if ``wait``; ``echo`` shows its input in its log.
        Raises BadRequest, ProcessNotFound, SessionEnded, TooManyWaiting.
        """

    def send_input(self, session_id: str, command_id: str, data: str) -> None:
        """Write a line. Raises BadRequest, ProcessNotFound, SessionEnded, CommandCompleted,
        InputUnavailable.
        """


class ProcessBackend(Protocol):
    """Runs programs."""

    max_result: int
    """Bytes of a stream in one JSON answer."""

    @property
    def sessions(self) -> Sessions:
        """The sessions."""

    def execute(self, request: ExecuteRequest) -> Answer:
        """Run a command and wait: an ExecuteResponse. Raises BadRequest, ExecutionTimeout."""
