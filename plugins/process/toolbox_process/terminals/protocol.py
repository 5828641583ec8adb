"""Terminals, as a backend offers them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import Protocol

from toolbox_process.engine.output import Follower
from toolbox_process.engine.output import Output
from toolbox_process.terminals.models import CreatePtyRequest
from toolbox_process.terminals.models import PtyInfo
from toolbox_process.terminals.models import PtySize


class Terminal(Output, Protocol):
    """A program on a pseudo-terminal, with the clients that are connected to it."""

    deleted: bool
    """True if it has ended because it was deleted."""
    note: str
    """A remark for the client that has created it, empty if there is none."""

    def start_offset(self, offset: int | None) -> int:
        """Return the offset at which a client begins to read.

        That is ``offset``, or the first one after it that is still kept. Without one it is the
        beginning for the first client and the end for others.
        """

    def attach(self, client: Follower) -> None:
        """Pump ``client`` from now on. Raises TooManyFollowers."""

    def detach(self, client: Follower) -> None:
        """Undo :meth:`attach`."""

    def keep_pace(self) -> None:
        """Let the program wait or go on, depending on how far its clients are. On the loop."""

    def write(self, data: bytes) -> int:
        """Send input; return the bytes that wait to be read. Raises InputFull, InputClosed."""

    def when_written(self, callback: Callable[[], object]) -> None:
        """Call ``callback()`` on the loop, once, when no input waits."""


class Terminals(Protocol):
    """The terminals by id, until they end."""

    def create(self, request: CreatePtyRequest) -> Terminal:
        """Create a terminal. Raises BadRequest, AlreadyExists, SpawnFailed."""

    def list(self) -> Sequence[PtyInfo]:
        """Return all terminals, the oldest first."""

    def get(self, terminal_id: str) -> PtyInfo:
        """Return a terminal. Raises ProcessNotFound."""

    def connect(self, terminal_id: str) -> Terminal:
        """Return a terminal, started if it has not been yet.

        Raises ProcessNotFound, SessionEnded, SpawnFailed.
        """

    def resize(self, terminal_id: str, size: PtySize) -> PtyInfo:
        """Change the size, also of a terminal that has not started yet.

        Raises SessionEnded, also for an unknown id.
        """

    def delete(self, terminal_id: str) -> None:
        """End a terminal and everything it has started. Raises ProcessNotFound."""


class HasTerminals(Protocol):
    """The part of a backend that the operations of terminals need."""

    @property
    def terminals(self) -> Terminals:
        """The terminals."""
