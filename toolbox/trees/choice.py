"""Choices of what a copy of a tree has."""

from __future__ import annotations

import os
from typing import Any


class Choice:
    """Decisions about each entry of a copy. This one takes all; others override what they change.

    After :meth:`enter`, the entries of one directory follow, those of its directories later.
    """

    def enter(self, names: list[str], status: os.stat_result) -> None:
        """Note that the directory at ``names``, relative to the top, comes next."""

    @property
    def shares(self) -> bool:
        """Report whether :meth:`link` may make an entry; if not, files are opened at once."""
        return False

    def takes(self, entry: os.DirEntry[str]) -> bool:
        """Report whether an entry gets into the copy."""
        return True

    def is_linked(self, name: str, status: os.stat_result) -> bool:
        """Report whether a file may have several names in the tree."""
        return status.st_nlink > 1

    def link(self, name: str, status: os.stat_result, target: int) -> bool:
        """Make the entry in the open directory ``target`` without copying, or return False."""
        return False

    def copied(self, name: str, status: os.stat_result) -> None:
        """Note that a file or link was copied, by its status before that."""

    # Of a copy that is made by two processes

    def restart(self) -> None:
        """Begin a record of its own, which the process that was made for a part has."""

    def part(self) -> Any:
        """Return that record."""

    def merge(self, part: Any) -> None:
        """Add the record of the other process to this one."""
