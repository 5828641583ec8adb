"""Text in memory that the master and its worker processes share."""

from __future__ import annotations

import mmap
import struct


class SharedText:
    """A text that every process forked afterwards sees as the last of them has set it.

    At most ``longest`` bytes as UTF-8, up to 65,535.
    """

    def __init__(self, longest: int) -> None:
        # Anonymous and, as Python's default, MAP_SHARED: fork(2) doesn't copy it (mmap(2)).
        self._memory = mmap.mmap(-1, longest + 2)

    def set(self, text: str) -> None:
        """Replace the text. Raises ValueError if it is too long."""
        data = text.encode()
        if len(data) + 2 > len(self._memory):
            raise ValueError(f"over {len(self._memory) - 2} bytes")
        # One copy for length and text: no reader sees, and no killed process leaves, half of it.
        self._memory[: 2 + len(data)] = struct.pack("H", len(data)) + data

    @property
    def value(self) -> bytes:
        """The text as UTF-8; empty if none was set."""
        memory = self._memory[:]
        (length,) = struct.unpack_from("H", memory)
        return memory[2 : 2 + length]
