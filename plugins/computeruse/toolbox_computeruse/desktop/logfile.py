"""Size-limited log files of the desktop's programs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

LIMIT = 8 * 1024 * 1024
"""Bytes after which a log is emptied."""

LAST_LINE = 4096
"""Bytes from the end that are searched for the last line."""


class LogFile:
    """A file that programs append to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def appending(self) -> BinaryIO:
        """Open the file for appending. Raises OSError."""
        # Opened for appending: after the file was emptied, a program's next write is at its start.
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.limit()
        return self.path.open("ab", buffering=0)

    def limit(self) -> None:
        """Empty the file if it is too large; a program that has it open appends at the new end."""
        try:
            if self.path.stat().st_size > LIMIT:
                os.truncate(self.path, 0)
        except OSError:
            pass  # It doesn't exist yet, or belongs to another user, which appending() reports.

    def text(self, size: int = LIMIT) -> str:
        """Return the last ``size`` bytes, decoded; empty if the file doesn't exist."""
        try:
            with self.path.open("rb") as file:
                length = file.seek(0, os.SEEK_END)
                file.seek(max(0, length - size))
                return file.read(size).decode("utf-8", "replace")
        except FileNotFoundError:
            return ""

    def last_line(self) -> str:
        """Return the last line that isn't blank, without control characters."""
        lines = [line for line in self.text(LAST_LINE).splitlines() if line.strip()]
        return "".join(filter(str.isprintable, lines[-1])).strip() if lines else ""
