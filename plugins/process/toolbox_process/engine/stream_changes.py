"""Offsets at which the output of a job changes between its two streams."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import NamedTuple

OUT = 0
"""Standard output, and everything from terminals and combined pipes."""
ERR = 1
"""Standard error, where it has a pipe to itself."""

MAX_CHANGES = 1 << 20
"""Changes that are remembered: eight bytes each."""


class Changes(NamedTuple):
    """The changes, as they are handed over: ``offsets`` are eight bytes each."""

    first: int
    current: int
    offsets: bytes


class StreamChanges:
    """The streams of a sequence of bytes. Not thread-safe."""

    def __init__(self) -> None:
        self._offsets = array("Q")
        self._first = OUT
        self.current = OUT
        """Stream of the last byte."""

    def standing(self) -> Changes:
        """Return what another one goes on with."""
        return Changes(self._first, self.current, self._offsets.tobytes())

    def resume(self, changes: Changes) -> None:
        """Go on from there."""
        self._first, self.current = changes.first, changes.current
        self._offsets = array("Q", changes.offsets)

    def note(self, stream: int, offset: int) -> int:
        """Remember that the bytes from ``offset`` on are of ``stream``.

        Returns the offset below which nothing is known any more: 0 unless this change was one too
        many, and the older half was forgotten.
        """
        if not offset:
            self._first = stream
        elif stream != self.current:
            self._offsets.append(offset)
        self.current = stream
        if len(self._offsets) <= MAX_CHANGES:
            return 0
        half = MAX_CHANGES // 2
        known_from = self._offsets[half - 1]
        # An even number: the remaining changes alternate from the same first stream.
        del self._offsets[:half]
        return known_from

    def look_up(self, offset: int) -> tuple[int, int | None]:
        """Return the stream at ``offset``, and the offset of the next change, if there is one."""
        index = bisect_right(self._offsets, offset)
        following = self._offsets[index] if index < len(self._offsets) else None
        # The two streams alternate, so the number of changes before it tells which one it is.
        return self._first ^ (index & 1), following

    def run_at(self, offset: int) -> tuple[int, int, int | None]:
        """Return the stream at ``offset``, and the offsets where it begins there and ends."""
        index = bisect_right(self._offsets, offset)
        start = self._offsets[index - 1] if index else 0
        following = self._offsets[index] if index < len(self._offsets) else None
        return self._first ^ (index & 1), start, following

    def clear(self) -> None:
        """Forget all changes."""
        self._offsets = array("Q")
