"""The moments at which a terminal's output came, and its sizes, by offsets of the output."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left
from bisect import bisect_right
from typing import NamedTuple

from toolbox_process.engine.launcher import TerminalSize

MAX_MARKS = 16 * 1024
"""Marks of time kept; of more, every second one is dropped."""

MAX_SIZES = 1000

RESOLUTION = 0.01
"""Seconds between two marks at least."""


class Resize(NamedTuple):
    """A size that holds from an offset on."""

    offset: int
    size: TerminalSize


class Timeline:
    """Marks of time, and sizes. *Any thread.*"""

    def __init__(self, size: TerminalSize) -> None:
        self._lock = threading.Lock()
        self._offsets = array("Q")
        self._times = array("d")
        self._sizes = [Resize(0, size)]

    def note_output(self, end: int, now: float) -> None:
        """Note that output up to the offset ``end`` was there at ``now``."""
        with self._lock:
            if self._times and now - self._times[-1] < RESOLUTION:
                # One mark for what came together, with its first moment.
                self._offsets[-1] = end
                return
            if len(self._times) >= MAX_MARKS:
                # The later of two neighbors: it has the end of both.
                self._offsets, self._times = self._offsets[1::2], self._times[1::2]
            self._offsets.append(end)
            self._times.append(now)

    def note_size(self, offset: int, size: TerminalSize) -> None:
        """Note that the size has changed at ``offset``."""
        with self._lock:
            if len(self._sizes) >= MAX_SIZES:
                del self._sizes[1]
            self._sizes.append(Resize(offset, size))

    def size_at(self, offset: int) -> TerminalSize:
        """Return the size that held at ``offset``."""
        with self._lock:
            starts = [each.offset for each in self._sizes]
            return self._sizes[max(0, bisect_right(starts, offset) - 1)].size

    def sizes_after(self, offset: int) -> list[Resize]:
        """Return the sizes that hold from an offset above ``offset`` on."""
        with self._lock:
            return [each for each in self._sizes if each.offset > offset]

    def last(self) -> Resize:
        """Return the present size, and the offset from which on it holds."""
        with self._lock:
            return self._sizes[-1]

    def mark_at(self, offset: int) -> tuple[int, float] | None:
        """Return the end and the moment of the output that the byte at ``offset`` came with."""
        with self._lock:
            found = bisect_left(self._offsets, offset + 1)
            if found == len(self._offsets):
                return None
            return self._offsets[found], self._times[found]
