"""Making directories, deleting, and changing permissions."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import re
import stat
from pathlib import Path

from toolbox.errors import BadRequest
from toolbox.staging import private_name
from toolbox.writing import errors_of
from toolbox.writing import make_directory
from toolbox_files.errors import InvalidFilePath
from toolbox_files.names import absolute

MAX_OPEN_LEVELS = 64
"""Directories that are open at once while a tree is deleted."""

_MAX_ID = 2**32 - 2


def parse_mode(text: str) -> int:
    """Permission bits from octal digits: ``755``, ``0755``, ``4755``. Raises BadRequest."""
    if not re.fullmatch("0*[0-7]{1,4}", text, re.ASCII):
        raise BadRequest(f"invalid mode: {text!r} is not 1 to 4 octal digits")
    return int(text, 8)


def make_folder(path: Path, mode: int) -> None:
    """Make a directory and what is missing above it. One that is there keeps its mode.

    Raises OSError.
    """
    existed = path.is_dir()
    with errors_of(path):
        make_directory(path, mode)
    if not existed and mode & (stat.S_ISUID | stat.S_ISGID):
        # mkdir(2) ignores these two.
        path.chmod(stat.S_IMODE(path.stat().st_mode) | mode & 0o7000)


def delete(path: Path, given: str, recursive: bool) -> None:
    """Delete what is at ``path``; of a symbolic link the link. Raises OSError, InvalidFilePath."""
    if given.rstrip("/").rpartition("/")[2] in ("", ".", ".."):
        raise InvalidFilePath("'/', '.' and '..' are not deleted")
    if not stat.S_ISDIR(path.lstat().st_mode):
        path.unlink()
        return
    if not recursive:
        raise InvalidFilePath(f"is a directory, and recursive is not true: {absolute(path)}")
    parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _TreeDeleter(parent, path.name).run()
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # It was the last name of a way.
        raise
    finally:
        os.close(parent)


class _TreeDeleter:
    """Deletes a tree by descriptors, so that nobody can put a link in the way meanwhile.

    Trees nest deeper than descriptors and the interpreter's stack last: a directory that is too
    deep is first moved up, next to the top.
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
        """Open a directory, delete the files in it; the directories are left to be deleted."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(name, flags, dir_fd=parent)
        below = []
        try:
            with os.scandir(fd) as entries:
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
        self._pending.append(moved)


def find_user(text: str) -> int:
    """A user id from a number or a name. Raises BadRequest."""
    try:
        return _number(text) if text.isdecimal() else pwd.getpwnam(text).pw_uid
    except (KeyError, ValueError):
        raise BadRequest(f"unknown owner: {text!r}") from None


def find_group(text: str) -> int:
    """A group id from a number or a name. Raises BadRequest."""
    try:
        return _number(text) if text.isdecimal() else grp.getgrnam(text).gr_gid
    except (KeyError, ValueError):
        raise BadRequest(f"unknown group: {text!r}") from None


def _number(text: str) -> int:
    number = int(text)
    if number > _MAX_ID:
        raise ValueError
    return number


def set_permissions(path: Path, mode: str, owner: str, group: str) -> None:
    """Change what isn't empty; links are followed. Everything is checked before anything changes.

    Raises OSError, BadRequest.
    """
    path.stat()
    bits = parse_mode(mode) if mode else None
    user_id = find_user(owner) if owner else -1
    group_id = find_group(group) if group else -1
    if user_id != -1 or group_id != -1:
        os.chown(path, user_id, group_id)
    if bits is not None:
        # After the owner: a change of that clears the set-id bits.
        path.chmod(bits)
