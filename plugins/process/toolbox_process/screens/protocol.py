"""Screens, as a backend offers them."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from typing import NamedTuple
from typing import Protocol

from toolbox_process.engine.waiting import IsDisconnected
from toolbox_process.engine.waiting import never
from toolbox_process.screens.models import Screen
from toolbox_process.screens.models import ScreenWaitQuery
from toolbox_process.screens.models import SendRequest
from toolbox_process.screens.models import Sent
from toolbox_process.screens.models import TerminalInfo
from toolbox_process.screens.models import Waited


class Recording(NamedTuple):
    """A recording as lines of asciicast v2; ``lost`` bytes before it are no longer kept."""

    lines: Iterator[bytes]
    lost: int


class Screens(Protocol):
    """The terminals by the id of the PTY or of the job, also for a while after their end.

    Every method with an id raises ProcessNotFound.
    """

    def list(self) -> Sequence[TerminalInfo]:
        """Return all terminals, the oldest first."""

    def look(self, terminal_id: str, scrollback: int = 0) -> Screen:
        """Return the screen."""

    def send(self, terminal_id: str, request: SendRequest) -> Sent:
        """Type. Raises BadRequest, CommandCompleted, InputUnavailable."""

    def wait(
        self, terminal_id: str, query: ScreenWaitQuery, is_disconnected: IsDisconnected = never
    ) -> Waited:
        """Wait for a text or for silence, until the client ``is_disconnected()``.

        Raises BadRequest, TooManyWaiting, ClientLeft.
        """

    def record(self, terminal_id: str) -> Recording:
        """Return the output up to now, with its times."""


class HasScreens(Protocol):
    """The part of a backend that the operations of screens need."""

    @property
    def screens(self) -> Screens:
        """The screens."""
