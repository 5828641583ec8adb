"""Removal of whole trees."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import NamedTuple

from toolbox.trees.errors import TreeError
from toolbox.trees.listing import entries_in

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(root: Path, *, counts: bool = False) -> int:
    """Remove a tree, or a file, if it is there. Nothing on other file systems is touched.

    With ``counts`` returns the bytes of its files that no other name has, otherwise 0: the status
    of each file takes as long as its removal. Raises OSError, and TreeError for a directory on
    another file system; a part may be left then.
    """
    try:
        status = root.lstat()
        if not stat.S_ISDIR(status.st_mode):
            # A symlink, too, is removed itself: what it leads to is not ours.
            root.unlink()
            return _last(status) if counts else 0
        fd = _open(str(root))
    except FileNotFoundError:
        return 0
    removal = _Removal(fd, counts)
    removal.run()
    root.rmdir()
    return removal.freed


def _last(status: os.stat_result) -> int:
    """Return the bytes of a file of which one name was left."""
    return status.st_blocks * 512 if status.st_nlink == 1 else 0


class _Removal:
    """Removes all below a directory, with one descriptor however deep it is."""

    def __init__(self, fd: int, counts: bool) -> None:
        self.freed = 0
        self._fd = fd
        self._counts = counts
        self._parents: list[_Parent] = []

    def run(self) -> None:
        try:
            directories = self._empty()
            while directories or self._parents:
                if directories:
                    self._parents.append(_Parent(os.fstat(self._fd), directories))
                    self._open(directories[-1])
                    directories = self._empty()
                else:
                    directories = self._leave()
        finally:
            os.close(self._fd)

    def _empty(self) -> list[str]:
        """Remove what is no directory. Returns the names of the directories."""
        directories = []
        device = os.fstat(self._fd).st_dev
        for entry in entries_in(self._fd):
            with contextlib.suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    if _is_removed(entry.name, self._fd):
                        continue
                    if entry.stat(follow_symlinks=False).st_dev != device:
                        # A mount that was left behind: its files belong to somebody else.
                        raise TreeError(f"{entry.name[:80]!r} is on another file system")
                    directories.append(entry.name)
                else:
                    freed = _last(entry.stat(follow_symlinks=False)) if self._counts else 0
                    os.unlink(entry.name, dir_fd=self._fd)
                    self.freed += freed
        return directories

    def _leave(self) -> list[str]:
        """Remove the directory, and return those that are left beside it."""
        parent = self._parents.pop()
        self._open("..")
        if not os.path.samestat(os.fstat(self._fd), parent.status):
            # Somebody has moved it, maybe to where nothing may be removed.
            raise TreeError("the directory was changed while it was removed")
        os.rmdir(parent.directories.pop(), dir_fd=self._fd)
        return parent.directories

    def _open(self, name: str) -> None:
        fd = _open(name, self._fd)
        os.close(self._fd)
        self._fd = fd


class _Parent(NamedTuple):
    """A directory above the current one, and its directories, which that is the last of."""

    status: os.stat_result
    directories: list[str]


def _is_removed(name: str, directory: int) -> bool:
    """Remove a directory if it is empty, as are those that a restore has moved the files from: to
    find that out by going there takes twenty calls.
    """
    try:
        os.rmdir(name, dir_fd=directory)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise
        return False
    return True


def _open(name: str, parent: int | None = None) -> int:
    """Open a directory, so that its entries can be removed."""
    # A sandbox may have taken the permissions from its owner, who can give them back. Not by
    # name: a symlink in its place would be followed.
    fd = os.open(name, _DIRECTORY | os.O_PATH, dir_fd=parent)
    try:
        itself = Path(f"/proc/self/fd/{fd}")
        if os.fstat(fd).st_mode & stat.S_IRWXU != stat.S_IRWXU:
            itself.chmod(0o700)
        return os.open(itself, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(fd)
