"""Space for changes of what is stored already: a full disk must not keep anybody from deleting."""

from __future__ import annotations

import os
from pathlib import Path

SIZE = 1024 * 1024
"""Bytes that are kept: many times what the records of a deletion take."""

PARTS = 16
"""Of a disk that has less, as many of these parts are kept as fit."""


class Reserve:
    """A file without content, whose space is free again when it is needed. Not thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parts = 0

    def keep(self) -> None:
        """Take the space, as far as there is some. Nothing happens if it is taken."""
        if self._parts == PARTS:
            return
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return  # There is not even space for its name.
        try:
            self._parts = _allocate(descriptor, self._parts)
        finally:
            os.close(descriptor)

    def release(self) -> bool:
        """Give the space back, and report whether there was some. Raises OSError."""
        had = self._path.exists()
        self._path.unlink(missing_ok=True)
        self._parts = 0
        return had


def _allocate(descriptor: int, present: int) -> int:
    """Take as many parts as there is space for, and return their number."""
    for parts in range(PARTS, present, -1):
        try:
            os.posix_fallocate(descriptor, 0, SIZE * parts // PARTS)
        except OSError:
            continue
        return parts
    return present
