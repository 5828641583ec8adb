"""The entries of a directory that a checkpoint leaves out, and a restore leaves alone."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from toolbox.patterns.gitignore import Ignored
from toolbox.patterns.gitignore import parse
from toolbox.trees.copying import LINKS

STAGING = re.compile(rf"\.toolbox-(?:restore|fork)-[0-9a-f]{{32}}(?:{re.escape(LINKS)})?")
"""Directories of ours in those of users, while a restore or a fork is going on."""

# There is nothing in them that could be copied: the other end is a process or a driver.
_KINDS = {
    stat.S_IFIFO: "fifos",
    stat.S_IFSOCK: "sockets",
    stat.S_IFCHR: "devices",
    stat.S_IFBLK: "devices",
}

EMPTY = frozenset(_KINDS.values())
"""Reasons for entries that have no content."""

REASONS = ("excluded", "mounts", *sorted(EMPTY))
"""Reasons that are counted."""


class Rules:
    """The entries that stay out of the checkpoints of the open directory ``top``.

    ``exclude`` are patterns as in a ``.gitignore`` there. ``store`` is the directory of all
    checkpoints, which may be inside.
    """

    def __init__(self, exclude: list[str], top: int, store: str) -> None:
        self._rules = parse("\n".join(exclude))
        self.has_patterns = bool(self._rules)
        self._device = os.fstat(top).st_dev
        self._store = Path(store).stat()

    def at(self, path: str) -> Callable[[os.DirEntry[str]], str]:
        """Return a function that returns the reason for an entry of the directory ``path``.

        It is empty for what belongs to a checkpoint.
        """
        names = tuple(path.split("/")) if path else ()
        # Without patterns, most checkpoints, there is nothing to match for each of the names.
        ignored = Ignored(names, ((0, self._rules),)) if self._rules else None

        def reason(entry: os.DirEntry[str]) -> str:
            is_directory = entry.is_dir(follow_symlinks=False)
            if ignored is not None and ignored(entry.name, is_directory):
                return "excluded"
            # Without asking for the status: that takes longer than all the rest.
            if entry.is_file(follow_symlinks=False):
                return ""
            status = entry.stat(follow_symlinks=False)
            if is_directory:
                return self._of_directory(entry.name, status)
            return _KINDS.get(stat.S_IFMT(status.st_mode), "")

        return reason

    def _of_directory(self, name: str, status: os.stat_result) -> str:
        # Another file system: of a volume, or a part of the machine's.
        if status.st_dev != self._device:
            return "mounts"
        if os.path.samestat(status, self._store):
            return "store"
        return "staging" if STAGING.fullmatch(name) else ""
