"""Reading a job's pipes into its spool, on the I/O loop."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable
from typing import NamedTuple

from toolbox.logs.masking import Mask
from toolbox.logs.masking import StreamMask
from toolbox.sockets.loop import IN
from toolbox.sockets.loop import Loop
from toolbox.sockets.loop import Timer
from toolbox_process.engine.spool import ERR
from toolbox_process.engine.spool import Spool

READ = 64 * 1024
"""Bytes per read: the capacity of a pipe (pipe(7))."""

WIDE = 4 * READ
"""Capacity of a pipe that was found full, and the bytes per read then: 100 MB to a follower take
0.4 s of the processor instead of 0.9. A user without privileges may have 256 of them (pipe(7)).
"""

PAGE = 4 * 1024 - 1
"""Bytes that one read of a full terminal returns. A shorter read means that nothing is left."""

HOLD = 0.1
"""Seconds of silence after which bytes that could begin a secret are shown."""

FAIR = 16
"""Reads of one pipe in a row by :meth:`PipeReader.read_now`, so that no job holds up the loop; of a
wide one a quarter of that.
"""

# Part of the output, and so of the wire.
LOST = b"\n[... what came after this could not be read: %b ...]\n"


class _Pipe(NamedTuple):
    stream: int
    own: bool
    burst: int
    size: int = READ


class ReaderStanding(NamedTuple):
    """The rest that is to be read: ``pipes`` as descriptor, stream and burst. ``held`` is the
    beginning of a secret, by stream.
    """

    pipes: list[tuple[int, int, int]]
    name: bytes
    shown: bytes
    held: dict[int, bytes]


class PipeReader:
    """Reads the pipes that a job writes to, and calls listeners after each read.

    Everything here runs on the loop. ``idle`` and ``limit`` are the seconds of silence and the
    seconds in all after which :meth:`drain` stops waiting for a pipe that stays open. It is read on
    all the same, to its end, so that a background process never gets SIGPIPE.
    """

    def __init__(
        self, loop: Loop, spool: Spool, idle: float, limit: float, mask: Mask | None = None
    ) -> None:
        self._mask = mask
        self._masks: dict[int, StreamMask] = {}
        self._release_timer: Timer | None = None
        self._loop = loop
        self._spool = spool
        self._idle = idle
        self._limit = limit
        self._pipes: dict[int, _Pipe] = {}
        self._listeners: list[Callable[[], object]] = []
        self._after: Callable[[], object] | None = None
        self._last = 0.0
        self._paused = False
        self._wide = False
        self._name = b""
        self._shown = b""

    def let_go(self) -> ReaderStanding:
        """Read no more, and return what is left to read. A terminal, which isn't the reader's own,
        is left out; its end is for another one to see.
        """
        # Off the loop, or an event that is already there would read on.
        self.pause(True)
        pipes = [(fd, pipe.stream, pipe.burst) for fd, pipe in self._pipes.items() if pipe.own]
        self._pipes.clear()
        self._after = None
        if self._release_timer is not None:
            self._release_timer.cancel()
        held = {stream: mask.held for stream, mask in self._masks.items() if mask.held}
        return ReaderStanding(pipes, self._name, self._shown, held)

    def resume(self, standing: ReaderStanding) -> None:
        """Read on from there."""
        self.rename(standing.name, standing.shown)
        for stream, data in standing.held.items():
            if self._mask is None:
                # Nothing is masked any more; in the order they came.
                self._spool.append(data, stream)
                continue
            self._masks[stream] = self._mask.stream()
            self._masks[stream].held = data
            self._release_timer = self._loop.call_later(0, self._release_later)
        for fd, stream, burst in standing.pipes:
            self.add(fd, stream, burst=burst)

    def rename(self, name: bytes, shown: bytes) -> None:
        """Replace ``name``, a private file's, with ``shown`` in the output."""
        self._name, self._shown = name, shown

    def renamed(self, data: bytes) -> bytes:
        """Return ``data`` with the name replaced. Programs write a name in one piece."""
        return data.replace(self._name, self._shown) if self._name else data

    def add(self, fd: int, stream: int, own: bool = True, burst: int = 1) -> None:
        """Read ``fd`` to its end, up to ``burst`` times in a row, and close it if it is ``own``."""
        os.set_blocking(fd, False)
        self._pipes[fd] = _Pipe(stream, own, burst)
        if not self._paused:
            self._watch(fd)

    def _watch(self, fd: int) -> None:
        self._loop.add(fd, IN, lambda events: self._ready(fd))

    def listen(self, listener: Callable[[], object]) -> None:
        """Call ``listener()`` after each read."""
        self._listeners.append(listener)

    def unlisten(self, listener: Callable[[], object]) -> None:
        """Undo :meth:`listen`."""
        with contextlib.suppress(ValueError):
            self._listeners.remove(listener)

    def notify(self) -> None:
        """Call the listeners now."""
        for listener in list(self._listeners):
            listener()

    def _tell(self) -> None:
        self.notify()
        if self._wide:  # Only then can there be as much: a key's echo is spared the call.
            self._spool.forget_recent()

    def pause(self, paused: bool) -> None:
        """Stop or resume reading. While it is stopped, writers block once the pipes are full."""
        if paused != self._paused:
            self._paused = paused
            for fd in self._pipes:
                if paused:  # Waiting for no events would still report a hang-up, in a busy loop.
                    self._loop.remove(fd)
                else:
                    self._watch(fd)

    def drain(self, after: Callable[[], object]) -> None:
        """Call ``after()`` once everything written so far has been read.

        That is at the end of all pipes or, if a background process still holds one, after ``idle``
        seconds of silence or ``limit`` seconds in all.
        """
        self.pause(False)
        self._after = after
        self.read_now()
        self._tell()
        if not self._finish_drain_at_end():
            now = time.monotonic()
            self._last = now
            self._wait_for_silence(now + self._limit)

    def read_now(self) -> None:
        """Read what is in the pipes now, without waiting for the loop to report them."""
        for fd in list(self._pipes):
            left = FAIR
            while left > 0 and self._read(fd):
                left -= self._pipes[fd].size // READ
        self._release_held()

    def _finish_drain_at_end(self) -> bool:
        if self._pipes or self._after is None:
            return False
        self._release_held()
        after, self._after = self._after, None
        after()
        return True

    def _wait_for_silence(self, give_up: float) -> None:
        if self._after is None:
            return
        silent = time.monotonic() - self._last
        if silent >= self._idle or time.monotonic() >= give_up:
            self._release_held()
            after, self._after = self._after, None
            after()
        else:
            self._loop.call_later(self._idle - silent, lambda: self._wait_for_silence(give_up))

    def _ready(self, fd: int) -> None:
        self._read(fd, self._pipes[fd].burst)
        self._tell()
        self._finish_drain_at_end()

    def _read(self, fd: int, times: int = 1) -> bool:
        """Read up to ``times`` times in a row; return whether there may be more."""
        chunks: list[bytes] = []
        ended, lost = False, b""
        for _ in range(times):
            try:
                data = os.read(fd, self._pipes[fd].size)
            except BlockingIOError:
                break
            except OSError as error:
                # A terminal fails with EIO at its end, when its last process has closed it.
                if error.errno != errno.EIO:
                    lost = LOST % os.strerror(error.errno or 0).encode()
                data = b""
            if not data:
                ended = True
                break
            chunks.append(data)
            if len(data) == READ:
                self._widen(fd)
            if len(data) < PAGE:
                break  # Nothing is left. If there is more, the loop reports it again.
        if chunks:
            self._last = time.monotonic()
            # In one piece: storing one takes longer than reading one from a terminal.
            self._store(self.renamed(b"".join(chunks)), self._pipes[fd].stream)
        if ended:
            self._spool.append(lost, ERR)
            self._close(fd)
        return not ended and len(chunks) == times

    def _widen(self, fd: int) -> None:
        """Let the program write more before it has to wait, so that there is more to each read."""
        if self._pipes[fd].size == READ:
            with contextlib.suppress(OSError):  # The user has too many, or it is a socket.
                fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, WIDE)
            self._pipes[fd] = self._pipes[fd]._replace(size=WIDE)
            self._wide = True

    def _store(self, data: bytes, stream: int) -> None:
        if self._mask is None:
            self._spool.append(data, stream)
            return
        if stream not in self._masks:
            self._masks[stream] = self._mask.stream()
        self._spool.append(self._masks[stream].feed(data), stream)
        if self._release_timer is None:
            self._release_timer = self._loop.call_later(HOLD, self._release_later)

    def _release_later(self) -> None:
        self._release_timer = None
        if time.monotonic() - self._last < HOLD and self._pipes:
            self._release_timer = self._loop.call_later(HOLD, self._release_later)
        elif self._release_held():
            self.notify()

    def _release_held(self) -> bool:
        """Store what was held back as a possible secret; return whether there was any."""
        if not self._masks:
            return False
        held = {stream: mask.end() for stream, mask in self._masks.items()}
        for stream, data in held.items():
            self._spool.append(data, stream)
        return any(held.values())

    def _close(self, fd: int) -> None:
        if pipe := self._pipes.pop(fd, None):
            self._loop.remove(fd)
            if pipe.own:
                os.close(fd)

    def close(self) -> None:
        """Stop reading, and close the descriptors that are our own."""
        for fd in list(self._pipes):
            self._close(fd)
