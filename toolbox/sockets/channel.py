"""A client's socket on the I/O loop: output in order, and input that can be paused."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from toolbox.activity import Mark
from toolbox.linux.clock import awake
from toolbox.sockets.frames import OutputQueue
from toolbox.sockets.loop import IN
from toolbox.sockets.loop import OUT

if TYPE_CHECKING:
    from toolbox.sockets.loop import Loop

RECEIVE = 64 * 1024
"""Bytes received at once."""

DRAIN = 16
"""Reads of unread input before the socket is closed."""


class Channel:
    """Sends and receives bytes, and never waits. Not thread-safe: the owner holds its lock, but
    for :meth:`receive`, which is for the loop, and :meth:`shut`.
    """

    def __init__(self, sock: socket.socket, loop: Loop, greeting: bytes) -> None:
        self.received_bytes = 0
        self.sent_bytes = 0
        self._last_data = (awake(), time.time())
        self._alive_at = awake()
        self.output = OutputQueue(greeting)
        self._sock = sock
        self._fd = sock.fileno()
        self._loop = loop
        self._events = 0
        self._paused = False
        self.gathering = False
        """True while frames are to be queued only, so as to be sent together."""
        sock.setblocking(False)

    @property
    def idle_seconds(self) -> float:
        """Seconds since the client last sent or took bytes."""
        return awake() - self._alive_at

    def note_data(self, is_activity: bool) -> None:
        """Note a message in either direction; heartbeats are no activity."""
        if is_activity:
            self._last_data = (awake(), time.time())

    @property
    def last_data(self) -> Mark:
        """The moment of the last message that was noted."""
        return Mark(*self._last_data)

    def cork(self, on: bool) -> None:
        """Gather small packets for a moment, 200 ms at most (tcp(7))."""
        with contextlib.suppress(OSError):  # It may be closed, or not a TCP socket.
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, on)

    def register(self, ready: Callable[[int], object]) -> None:
        """Call ``ready(events)`` on the loop from now on. On the loop."""
        self._events = self._wanted()
        self._loop.add(self._fd, self._events, ready)

    def flush(self) -> None:
        """Send as much as the kernel takes. Raises OSError if the connection is broken."""
        try:
            while self.output.pending and not self.gathering:
                self.sent_bytes += self.output.send_to(self._sock)
                self._alive_at = awake()
        except BlockingIOError:
            pass

    def receive(self) -> bytes | None:
        """Return what has come, b"" at the end of the connection, None if nothing has."""
        try:
            data = self._sock.recv(RECEIVE)
        except BlockingIOError:
            return None
        except OSError:
            return b""
        self.received_bytes += len(data)
        self._alive_at = awake()
        return data

    def pause(self, paused: bool) -> None:
        """Stop or resume reading: what the client sends then waits in its own buffers."""
        self._paused = paused
        self.watch()

    def watch(self) -> None:
        """Update the events that epoll waits for, if they have changed."""
        wanted = self._wanted()
        if self._events and wanted != self._events:
            self._events = wanted
            self._loop.modify(self._fd, wanted)

    def _wanted(self) -> int:
        # A paused channel still hears of the client's end.
        events = select.EPOLLRDHUP if self._paused else IN
        return events | OUT if self.output.pending else events

    def close(self) -> None:
        """Leave the loop and drop all output. On the loop."""
        if self._events:
            # Before the descriptor is closed: its number may be another file's right after.
            self._loop.remove(self._fd)
            self._events = 0
        self.output.clear()

    def shut(self) -> None:
        """Close the socket after reading what came: unread input would turn the close into a reset,
        and the client lose what was sent last.
        """
        try:
            self._sock.shutdown(socket.SHUT_WR)
            for _ in range(DRAIN):
                if not self._sock.recv(RECEIVE):
                    break
        except OSError:
            pass
        self._sock.close()


class CountsTraffic:
    """The counts of a :class:`toolbox.sockets.handler.OpenSocket` that has a channel."""

    _channel: Channel

    @property
    def pending(self) -> int:
        return self._channel.output.pending

    @property
    def received_bytes(self) -> int:
        return self._channel.received_bytes

    @property
    def sent_bytes(self) -> int:
        return self._channel.sent_bytes

    @property
    def last_data(self) -> Mark:
        return self._channel.last_data
