"""What a program of the desktop writes, kept within a limit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

LIMIT = 8 * 1024 * 1024
"""Bytes; a log that has more is begun anew."""

LAST_LINE = 4096
"""Bytes at the end that are looked at for the last line."""


class LogFile:
    """A file programs append to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def appending(self) -> BinaryIO:
        """The file, open to append to it. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.limit()
        return self.path.open("ab", buffering=0)

    def limit(self) -> None:
        """Empty it if it has grown too large; who has it open goes on at its new end."""
        try:
            if self.path.stat().st_size > LIMIT:
                os.truncate(self.path, 0)
        except OSError:
            pass  # It isn't there yet, or is somebody else's: that is told when it is opened.

    def text(self, size: int = LIMIT) -> str:
        """The last ``size`` bytes, decoded; empty if nothing was ever written."""
        try:
            with self.path.open("rb") as file:
                length = file.seek(0, os.SEEK_END)
                file.seek(max(0, length - size))
                return file.read(size).decode("utf-8", "replace")
        except FileNotFoundError:
            return ""

    def last_line(self) -> str:
        """The last line that isn't empty, without control characters."""
        lines = [line for line in self.text(LAST_LINE).splitlines() if line.strip()]
        return "".join(filter(str.isprintable, lines[-1])).strip() if lines else ""
