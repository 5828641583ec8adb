"""Reading a job's pipes into its spool, on the I/O loop."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable

from toolbox.loop import IN
from toolbox.loop import Loop
from toolbox.loop import Timer
from toolbox.masking import Mask
from toolbox.masking import StreamMask
from toolbox_process.spool import ERR
from toolbox_process.spool import Spool

READ = 64 * 1024
"""What a pipe holds, so the most one read gives."""

PAGE = 4 * 1024 - 1
"""What the kernel gives of a full terminal at once."""

HOLD = 0.1
"""Seconds of silence after which what may have been the beginning of a secret is shown."""

FAIR = 16
"""Reads of one pipe in a row while its end is looked for."""

LOST = b"\n[... what came after this could not be read: %b ...]\n"


class Capture:
    """The pipes a job writes to, and who wants to know of what comes.

    Everything here runs on the loop. A pipe is read to its end, whoever holds it and however long,
    so that a background process never dies of a closed one.
    """

    def __init__(
        self, loop: Loop, spool: Spool, idle: float, limit: float, mask: Mask | None = None
    ) -> None:
        self._mask = mask
        self._masks: dict[int, StreamMask] = {}
        self._showing: Timer | None = None
        self._loop = loop
        self._spool = spool
        self._idle = idle
        self._limit = limit
        self._streams: dict[int, int] = {}
        self._owned: set[int] = set()
        self._listeners: list[Callable[[], object]] = []
        self._after: Callable[[], object] | None = None
        self._last = 0.0
        self._paused = False
        self._burst = 1
        self._name = b""
        self._shown = b""

    def rename(self, name: bytes, shown: bytes) -> None:
        """Show ``name``, which nobody outside should see, as ``shown``."""
        self._name, self._shown = name, shown

    def renamed(self, data: bytes) -> bytes:
        """``data`` as it is shown. A name comes whole: programs write it at once."""
        return data.replace(self._name, self._shown) if self._name else data

    def add(self, fd: int, stream: int, own: bool = True, burst: int = 1) -> None:
        """Read ``fd``, up to ``burst`` times in a row, and close it at its end if it is our
        ``own``.
        """
        self._burst = burst
        if own:
            self._owned.add(fd)
        os.set_blocking(fd, False)
        self._streams[fd] = stream
        self._watch(fd)

    def _watch(self, fd: int) -> None:
        self._loop.add(fd, IN, lambda events: self._ready(fd))

    def listen(self, listener: Callable[[], object]) -> None:
        """Call ``listener()`` after something was read."""
        self._listeners.append(listener)

    def unlisten(self, listener: Callable[[], object]) -> None:
        """Undo :meth:`listen`."""
        with contextlib.suppress(ValueError):
            self._listeners.remove(listener)

    def notify(self) -> None:
        """Call the listeners."""
        for listener in list(self._listeners):
            listener()

    def pause(self, paused: bool) -> None:
        """Stop reading, or go on: who writes is made to wait."""
        if paused != self._paused:
            self._paused = paused
            for fd in self._streams:
                if paused:  # Waiting for nothing would still wake us at a hang-up, for ever.
                    self._loop.remove(fd)
                else:
                    self._watch(fd)

    def drain(self, after: Callable[[], object]) -> None:
        """Call ``after()`` once everything written so far has been read: at the end of all pipes,
        or when whoever still holds one has been silent for a while, or has not for too long.
        """
        self.pause(False)
        self._after = after
        self.read_now()
        self.notify()
        if not self._done_draining():
            now = time.monotonic()
            self._last = now
            self._look_again(now + self._limit)

    def read_now(self) -> None:
        """Read what is in the pipes at this moment."""
        for fd in list(self._streams):
            for _ in range(FAIR):
                if not self._read(fd):
                    break
        self._show_held()

    def _done_draining(self) -> bool:
        if self._streams or self._after is None:
            return False
        self._show_held()
        after, self._after = self._after, None
        after()
        return True

    def _look_again(self, give_up: float) -> None:
        if self._after is None:
            return
        silent = time.monotonic() - self._last
        if silent >= self._idle or time.monotonic() >= give_up:
            self._show_held()
            after, self._after = self._after, None
            after()
        else:
            self._loop.call_later(self._idle - silent, lambda: self._look_again(give_up))

    def _ready(self, fd: int) -> None:
        self._read(fd, self._burst)
        self.notify()
        self._done_draining()

    def _read(self, fd: int, times: int = 1) -> bool:
        """Read up to ``times`` times in a row; whether there may be more."""
        chunks: list[bytes] = []
        ended, lost = False, b""
        for _ in range(times):
            try:
                data = os.read(fd, READ)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.EIO:  # A terminal whose last process has gone.
                    lost = LOST % os.strerror(error.errno or 0).encode()
                data = b""
            if not data:
                ended = True
                break
            chunks.append(data)
            if len(data) < PAGE:
                break  # That was all. If not, the loop comes back.
        if chunks:
            self._last = time.monotonic()
            # As one: storing takes longer than reading what a terminal gives at once.
            self._store(self.renamed(b"".join(chunks)), self._streams[fd])
        if ended:
            self._spool.append(lost, ERR)
            self._close(fd)
        return not ended and len(chunks) == times

    def _store(self, data: bytes, stream: int) -> None:
        if self._mask is None:
            self._spool.append(data, stream)
            return
        if stream not in self._masks:
            self._masks[stream] = self._mask.stream()
        self._spool.append(self._masks[stream].feed(data), stream)
        if self._showing is None:
            self._showing = self._loop.call_later(HOLD, self._show_later)

    def _show_later(self) -> None:
        self._showing = None
        if time.monotonic() - self._last < HOLD and self._streams:
            self._showing = self._loop.call_later(HOLD, self._show_later)
        elif self._show_held():
            self.notify()

    def _show_held(self) -> bool:
        """Show what may have been the beginning of a secret; whether there was anything."""
        held = {stream: mask.end() for stream, mask in self._masks.items()}
        for stream, data in held.items():
            self._spool.append(data, stream)
        return any(held.values())

    def _close(self, fd: int) -> None:
        if self._streams.pop(fd, None) is not None:
            self._loop.remove(fd)
            if fd in self._owned:
                self._owned.discard(fd)
                os.close(fd)

    def close(self) -> None:
        """Read no more."""
        for fd in list(self._streams):
            self._close(fd)
