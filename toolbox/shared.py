"""Text in memory that the master and its workers share."""

from __future__ import annotations

import mmap
import struct


class SharedText:
    """Text that every process forked since sees as it was set last, by whichever of them.

    At most ``longest`` bytes as UTF-8, up to 65,535.
    """

    def __init__(self, longest: int) -> None:
        self._memory = mmap.mmap(-1, longest + 2)

    def set(self, text: str) -> None:
        """Replace it. Raises ValueError if it is too long."""
        data = text.encode()
        if len(data) + 2 > len(self._memory):
            raise ValueError(f"over {len(self._memory) - 2} bytes")
        # One copy for length and text: nobody reads, and no death of a process leaves, a half.
        self._memory[: 2 + len(data)] = struct.pack("H", len(data)) + data

    @property
    def value(self) -> bytes:
        """The text as UTF-8; empty if none was set."""
        memory = self._memory[:]
        (length,) = struct.unpack_from("H", memory)
        return memory[2 : 2 + length]
