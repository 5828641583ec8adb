"""Deleting files and trees."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from toolbox.atomic.staging import private_name
from toolbox_files.errors import InvalidFilePath
from toolbox_files.names import absolute

MAX_OPEN_LEVELS = 64
"""Directories that are open at once while a tree is deleted."""


def delete(path: Path, given: str, recursive: bool) -> None:
    """Delete the file or tree at ``path``; a symbolic link itself, not its target.

    ``given`` is the path as the client sent it. Raises OSError, InvalidFilePath.
    """
    _check_name(given)
    if not stat.S_ISDIR(path.lstat().st_mode):
        path.unlink()
        return
    if not recursive:
        raise InvalidFilePath(f"is a directory, and recursive is not true: {absolute(path)}")
    _delete_tree(path)


def remove_folder(path: Path, given: str) -> None:
    """Delete the directory at ``path`` if it is empty. Raises OSError, InvalidFilePath."""
    _check_name(given)
    path.rmdir()


def _check_name(given: str) -> None:
    if given.rstrip("/").rpartition("/")[2] in ("", ".", ".."):
        raise InvalidFilePath("'/', '.' and '..' can't be deleted")


def _delete_tree(path: Path) -> None:
    parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _TreeDeleter(parent, path.name).run()
    except OSError as error:
        # It has the last component only: the tree is walked by descriptors.
        error.filename, error.filename2 = str(path), None
        raise
    finally:
        os.close(parent)


class _TreeDeleter:
    """Deletes a tree by descriptors, so that a link put in its way concurrently isn't followed.

    A tree may be deeper than the limit of open files and the interpreter's stack: a directory
    that is too deep is first moved up, next to the top.
    """

    def __init__(self, parent: int, name: str) -> None:
        self._parent = parent
        self._pending = [name]

    def run(self) -> None:
        while self._pending:
            name = self._pending[-1]
            self._delete(name)
            os.rmdir(name, dir_fd=self._parent)
            self._pending.remove(name)

    def _delete(self, top: str) -> None:
        """Empty the directory ``top``."""
        levels: list[tuple[int, str, list[str]]] = []
        try:
            levels.append(self._open(self._parent, top))
            while levels:
                fd, name, below = levels[-1]
                if not below:
                    os.close(levels.pop()[0])
                    if levels:
                        os.rmdir(name, dir_fd=levels[-1][0])
                elif len(levels) == MAX_OPEN_LEVELS:
                    self._move_up(fd, below.pop())
                else:
                    levels.append(self._open(fd, below.pop()))
        finally:
            for fd, _, _ in levels:
                os.close(fd)

    def _open(self, parent: int, name: str) -> tuple[int, str, list[str]]:
        """Open a directory and delete its files; return its descriptor, name and subdirectories."""
        # O_NOFOLLOW: what was a directory may be a link by now.
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(name, flags, dir_fd=parent)
        below = []
        try:
            with os.scandir(fd) as entries:
                # All of them first: deleting while reading may skip entries (readdir(3)).
                found = list(entries)
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.name)
                else:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(entry.name, dir_fd=fd)
        except BaseException:
            os.close(fd)
            raise
        return fd, name, below

    def _move_up(self, parent: int, name: str) -> None:
        moved = private_name()
        os.rename(name, moved, src_dir_fd=parent, dst_dir_fd=self._parent)
        # Deleted after the tree that it was in.
        self._pending.append(moved)
