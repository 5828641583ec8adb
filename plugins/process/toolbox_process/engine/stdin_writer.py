"""Writing to a job's standard input or terminal, on the I/O loop."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from toolbox.sockets.loop import OUT
from toolbox.sockets.loop import Loop

MAX_PENDING = 8 * 1024 * 1024
"""Bytes queued at most for a program that doesn't read."""

AGAIN = 0.05
"""Seconds between attempts when there is no descriptor left to wait with."""


class InputFull(Exception):
    """The queue would exceed :data:`MAX_PENDING` bytes."""


class InputClosed(Exception):
    """The input was closed, or its reader has ended."""


class WriterStanding(NamedTuple):
    """The rest that is to be written. ``fd`` is -1 if that isn't its own, or closed."""

    fd: int
    queue: list[bytes]
    accepted: int
    ending: bool
    closed: bool


class StdinWriter:
    """Writes to one file descriptor, in the order of the calls. *Any thread* may call.

    The descriptor becomes non-blocking. It is closed at the end only if it is the writer's ``own``.
    """

    def __init__(self, loop: Loop, fd: int, own: bool = True) -> None:
        self._loop = loop
        self._fd = fd
        self._own = own
        self._lock = threading.Lock()
        self._queue: deque[memoryview] = deque()
        self._pending = 0
        self._accepted = 0
        self._ending = False
        self._closed = False
        self._watched = -1
        self._drained: list[Callable[[], object]] = []
        os.set_blocking(fd, False)

    def let_go(self) -> WriterStanding:
        """Write no more, and return what is left to write. On the loop."""
        with self._lock:
            self._unwatch()
            gone, self._closed = self._closed, True
            queue = [bytes(part) for part in self._queue]
            self._queue.clear()
            fd = -1 if gone or not self._own else self._fd
            return WriterStanding(fd, queue, self._accepted, self._ending, gone)

    def resume(self, standing: WriterStanding) -> None:
        """Write on from there. On the loop."""
        for part in standing.queue:
            self.write(part)
        self._accepted = standing.accepted
        if standing.ending:
            self.close()

    @property
    def pending(self) -> int:
        """Bytes queued."""
        return self._pending

    @property
    def accepted(self) -> int:
        """Bytes that were ever queued: a client that reconnects goes on from there."""
        return self._accepted

    @property
    def closed(self) -> bool:
        """True if :meth:`close` was called or the reader has ended."""
        return self._ending or self._closed

    def write(self, data: bytes) -> None:
        """Queue all of ``data``. Raises InputFull or InputClosed, and then queues nothing."""
        with self._lock:
            if self.closed:
                raise InputClosed
            if self._pending + len(data) > MAX_PENDING:
                raise InputFull
            self._queue.append(memoryview(data))
            self._pending += len(data)
            self._accepted += len(data)
        # At once where that is possible: a key typed into a terminal shouldn't wait for a round.
        if self._loop.here:
            self._flush()
        else:
            self._loop.call_soon(self._flush)

    def when_drained(self, callback: Callable[[], object]) -> None:
        """Call ``callback()`` on the loop, once, when the queue is empty."""
        with self._lock:
            self._drained.append(callback)
        self._loop.call_soon(self._flush)

    def close(self) -> None:
        """Signal the end of input once the queue is written."""
        with self._lock:
            self._ending = True
        self._loop.call_soon(self._flush)

    def abort(self) -> None:
        """Close now, and discard the queue. On the loop."""
        with self._lock:
            self._queue.clear()
            self._pending = 0
            self._ending = True
        self._flush()

    def _flush(self) -> None:
        with self._lock:
            while self._queue and not self._closed:
                try:
                    count = os.write(self._fd, self._queue[0])
                except BlockingIOError:
                    break
                except OSError:  # EPIPE or, of a terminal, EIO: the reader has ended.
                    self._end()
                    break
                self._pending -= count
                rest = self._queue.popleft()[count:]
                if rest:
                    self._queue.appendleft(rest)
            if self._ending and not self._queue and not self._closed:
                self._end()
            self._watch()
            callbacks, self._drained = ([], self._drained) if self._queue else (self._drained, [])
        # Without the lock: a callback may write.
        for callback in callbacks:
            callback()

    def _end(self) -> None:
        self._unwatch()
        self._closed = True
        self._queue.clear()
        self._pending = 0
        if self._own:
            os.close(self._fd)

    def _watch(self) -> None:
        if self._queue and not self._closed:
            if self._watched < 0:
                # A copy, since epoll(7) takes a descriptor once: the loop reads a terminal already.
                try:
                    self._watched = os.dup(self._fd)
                except OSError:
                    self._loop.call_later(AGAIN, self._flush)
                    return
                self._loop.add(self._watched, OUT, lambda events: self._flush())
        else:
            self._unwatch()

    def _unwatch(self) -> None:
        if self._watched >= 0:
            self._loop.remove(self._watched)
            os.close(self._watched)
            self._watched = -1
