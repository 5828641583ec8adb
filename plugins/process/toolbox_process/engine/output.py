"""Sending a job's output to clients: their view of it, and flow control."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import NamedTuple
from typing import Protocol

from toolbox.sockets.loop import Loop
from toolbox_process.engine.end_event import EndEvent
from toolbox_process.engine.ends import Reason
from toolbox_process.engine.excerpt import Excerpt
from toolbox_process.engine.job import ProcessJob
from toolbox_process.engine.spool import Spool

_offset = attrgetter("offset")

AHEAD = 1024 * 1024
"""Bytes a program may be ahead of its fastest client before it has to wait."""


class Output(Protocol):
    """A job, running or ended, as its followers see it."""

    loop: Loop
    spool: Spool
    done: EndEvent
    """Set when it has ended and its output is complete."""

    @property
    def id(self) -> str:
        """The id, unique in this service."""

    @property
    def exit_code(self) -> int | None:
        """The exit code, None until it has ended."""

    @property
    def reason(self) -> Reason | None:
        """The reason for its end, None until then."""

    def follow(self, listener: Callable[[], object]) -> None:
        """Call ``listener()`` on the loop: now, after each output and at the end.

        Raises TooManyFollowers.
        """

    def unfollow(self, listener: Callable[[], object]) -> None:
        """Undo :meth:`follow`."""


class Text(NamedTuple):
    """The text of a stream, ``dropped`` bytes of whose middle are left out."""

    text: str
    dropped: int


def collect(spool: Spool, stream: int | None, limit: int) -> Text:
    """Return all of one stream, or of both in the order they came (None), within ``limit`` bytes.

    See :class:`Excerpt` for what is left out.
    """
    excerpt = Excerpt(spool, stream, limit)
    return Text("".join(excerpt.pieces()), excerpt.dropped)


class Follower(Protocol):
    """A client that is sent a job's output. Compared by identity."""

    offset: int
    """The offset up to which output was sent."""

    def pump(self) -> None:
        """Send the available output. On the loop."""


class FlowControl:
    """Makes a job wait while none of its clients keeps up. Everything here runs on the loop.

    Without a client it doesn't wait: its output is kept in the spool, within a bound.
    """

    def __init__(self, job: ProcessJob) -> None:
        self._job = job
        self._clients: list[Follower] = []

    def add(self, client: Follower) -> None:
        """Pump a client from now on."""
        self._clients.append(client)
        self.pump()

    def remove(self, client: Follower) -> None:
        """Undo :meth:`add`, if it was called."""
        if client in self._clients:
            self._clients.remove(client)
            self.adjust()

    def pump(self) -> None:
        """Pump all clients."""
        # A copy: a client that is closed removes itself.
        for client in list(self._clients):
            client.pump()
        self.adjust()

    def adjust(self) -> None:
        """Let the job wait or go on, depending on how far its clients are."""
        # After its exit the reader drains the pipes; a pause would delay the end.
        if not self._job.exited:
            end = self._job.spool.end
            # The fastest client counts: a slow one must not hold up the others.
            ahead = end - max(map(_offset, self._clients), default=end)
            self._job.reader.pause(ahead > AHEAD)
