"""Directories below a top that somebody else may change at any time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from toolbox.trees.errors import TreeError
from toolbox.trees.listing import DIRECTORY
from toolbox.trees.listing import entries_in

MAX_PATH = 4000
"""Maximum bytes of a path below the top: the kernel takes 4095 in one call (PATH_MAX)."""


def join(path: str, name: str) -> str:
    """Return the path of an entry. Raises TreeError if it is too long."""
    if not path:
        return name
    joined = f"{path}/{name}"
    if len(joined) > MAX_PATH and len(os.fsencode(joined)) > MAX_PATH:
        raise TreeError(f"a path is longer than {MAX_PATH} bytes: {name[:80]!r} is too deep")
    return joined


def split(path: str) -> tuple[str, str]:
    """Return the path of the directory, and the name in it."""
    above, _, name = path.rpartition("/")
    return above, name


MAX_OPEN = 32
"""Descriptors that a :class:`Descent` has open, at most."""


@contextlib.contextmanager
def opened(top: int, path: str) -> Iterator[int]:
    """Open the directory at ``path`` below an open one, without following a link. Raises OSError.

    Each by its name: by the whole path, a link that has just taken the place of a directory
    would be followed.
    """
    fd = os.dup(top)
    try:
        for name in path.split("/") if path else ():
            below = os.open(name, DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = below
        yield fd
    finally:
        os.close(fd)


class Descent:
    """Opens directories below a top, each from the nearest one above that is still open.

    For walks, which come to a directory soon after the one that it is in, and only for what may
    be read: a directory that somebody moves away meanwhile is still found.
    """

    def __init__(self, top: int) -> None:
        self._top = top
        self._chain: list[tuple[str, int]] = []
        self._last = -1
        """A directory that is deeper than the chain may be."""

    def __enter__(self) -> Descent:
        return self

    def __exit__(self, *_: object) -> None:
        self._leave(0)

    def open(self, path: str) -> int:
        """Open the directory at ``path``, for the time until the next call. Raises OSError.

        No link is followed.
        """
        names = path.split("/") if path else []
        shared = 0
        for (name, _), wanted in zip(self._chain, names, strict=False):
            if name != wanted:
                break
            shared += 1
        self._leave(shared)
        fd = self._chain[-1][1] if self._chain else self._top
        for name in names[shared:]:
            try:
                fd = os.open(name, DIRECTORY, dir_fd=fd)
            except OSError as error:
                error.filename = path
                raise
            if len(self._chain) < MAX_OPEN:
                self._chain.append((name, fd))
            else:
                self._leave(MAX_OPEN)
                self._last = fd
        return fd

    def _leave(self, depth: int) -> None:
        if self._last >= 0:
            os.close(self._last)
            self._last = -1
        while len(self._chain) > depth:
            os.close(self._chain.pop()[1])


def entries(directory: int) -> dict[str, os.DirEntry[str]]:
    """Return the entries of an open directory, which know their status. Raises OSError."""
    found = {}
    for entry in entries_in(directory):
        try:
            entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        found[entry.name] = entry
    return found


def exists(name: str, directory: int) -> bool:
    """Report whether an open directory has an entry of that name."""
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold a lock on a file or directory for the block; yield False if somebody else has it.

    A process that is killed loses it, so whoever gets it knows that nobody works there.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Not of what was removed between the two calls.
            free = path.exists() and os.path.samestat(os.fstat(fd), path.stat())
        except BlockingIOError:
            free = False
        yield free
    finally:
        os.close(fd)
