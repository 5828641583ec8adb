"""The changes that a watch of the group ``files`` reports, collected for whoever asks."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator

import msgspec

from toolbox.linux.clock import awake
from toolbox.sockets.handler import NORMAL
from toolbox.sockets.handler import SocketClosed
from toolbox.sockets.handler import SocketHandler
from toolbox.sockets.loop import Loop

MOST = 8192
"""Changes that wait at most; with more, the kernel keeps them, as long as it can."""


class Change(msgspec.Struct, frozen=True):
    """A change as the group ``files`` reports it; ``cookie`` pairs the halves of a rename."""

    event: str
    path: str
    is_dir: bool = msgspec.field(default=False, name="isDir")
    cookie: int = 0


_CHANGES = msgspec.json.Decoder(list[Change])


class Collector:
    """Stands where a watch has its WebSocket: :class:`toolbox.sockets.handler.Socket`."""

    def __init__(self, handler: SocketHandler, loop: Loop) -> None:
        self._handler = handler
        self._loop = loop
        self._changes: deque[Change] = deque()
        self._news = threading.Event()
        self._closed = False
        self.asked_at = awake()
        handler.opened(self)

    # What the watch calls

    @property
    def writable(self) -> bool:
        return len(self._changes) < MOST

    @property
    def pending(self) -> int:
        return len(self._changes)

    @property
    def closing(self) -> bool:
        return self._closed

    def send(self, message: str | bytes) -> None:
        if self._closed:
            raise SocketClosed
        self._changes.extend(_CHANGES.decode(message))
        self._news.set()

    def gather(self, on: bool) -> None:
        """Do nothing: what is sent is gathered until it is taken."""

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        self.stop()

    def abort(self) -> None:
        self.stop()

    def admit(self) -> None:
        """Do nothing: there is no client."""

    def pause(self) -> None:
        """Do nothing: nothing is received."""

    def resume(self) -> None:
        """Do nothing: nothing is received."""

    # What clients call

    def stop(self) -> None:
        """Stop watching; idempotent. What was collected can still be taken."""
        if not self._closed:
            self._closed = True
            self._news.set()
            # The handler's methods are for the loop, and whoever stops it is on a thread.
            self._loop.call_soon(lambda: self._handler.closed(self, NORMAL, ""))

    def wait(self, seconds: float) -> None:
        """Wait until there are changes."""
        self._news.wait(max(0.0, seconds))

    def take(self) -> Iterator[Change]:
        """Yield the changes since the last call."""
        self.asked_at = awake()
        self._news.clear()
        was_full = not self.writable
        # Those of now: in a busy directory there would always be another one.
        for _ in range(len(self._changes)):
            try:
                change = self._changes.popleft()
            except IndexError:
                break  # Another client has polled meanwhile.
            yield change
        # While it was full the watch has stopped reading, and waits to be told.
        if was_full and not self._closed:
            self._loop.call_soon(lambda: self._handler.drained(self))
