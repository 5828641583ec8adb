"""Resolving paths strictly below one directory, safe from concurrent changes of links.

This is RESOLVE_BENEATH of openat2(2), for kernels without it: each directory is opened by its name
relative to its parent, and links are read and followed here.
"""

from __future__ import annotations

import errno
import os

MAX_LINKS = 40
"""Maximum links followed in one path, as in the kernel (path_resolution(7))."""

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class LeadsOutside(Exception):
    """The path leads out of the directory, or can't be resolved safely."""


class Beneath:
    """The directory ``root``, as the boundary of paths. Raises OSError if it can't be opened."""

    def __init__(self, root: str) -> None:
        self._root = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._last: tuple[list[str], int, list[str]] | None = None

    def close(self) -> None:
        """Close the descriptors."""
        os.close(self._root)
        if self._last is not None:
            os.close(self._last[1])

    def directory(self, parts: list[str], make: bool) -> tuple[int, list[str]]:
        """Return a descriptor of the directory at ``parts``, and its path without links.

        The descriptor is valid until the next call. With ``make`` missing directories are created.
        Raises LeadsOutside, OSError.
        """
        if self._last is not None and self._last[0] == parts:
            return self._last[1:]
        if self._last is not None:
            os.close(self._last[1])
            self._last = None
        fd, names = self._walk(parts, make)
        self._last = (parts, fd, names)
        return fd, names

    def leads_outside(self, names: list[str], target: str) -> bool:
        """Report whether a link to ``target`` in the directory ``names`` leads out.

        A target that doesn't exist yet is judged by its names alone.
        """
        depth = len(names)
        for part in target.split("/"):
            depth += -1 if part == ".." else part not in ("", ".")
            if depth < 0 or target.startswith("/"):
                return True
        try:
            os.close(self._walk([*names, *target.split("/")], make=False)[0])
        except LeadsOutside:
            return True
        except OSError:
            pass
        return False

    def _walk(self, parts: list[str], make: bool) -> tuple[int, list[str]]:
        fd = os.dup(self._root)
        names: list[str] = []
        pending = parts[::-1]
        links = 0
        try:
            while pending:
                part = pending.pop()
                if part in ("", "."):
                    continue
                if part == "..":
                    if not names:
                        raise LeadsOutside
                    # Not by "..": the directory may have been moved out of the root.
                    names.pop()
                    next_fd = self._walk(names, make=False)[0]
                else:
                    opened = self._open(fd, part, make)
                    if isinstance(opened, str):
                        links += 1
                        if links > MAX_LINKS or opened.startswith("/"):
                            raise LeadsOutside
                        pending += opened.split("/")[::-1]
                        continue
                    next_fd = opened
                    names.append(part)
                os.close(fd)
                fd = next_fd
        except BaseException:
            os.close(fd)
            raise
        return fd, names

    def _open(self, fd: int, name: str, make: bool) -> int | str:
        """Open the directory ``name`` in ``fd``, or return the target of a link of that name."""
        try:
            return os.open(name, _DIRECTORY, dir_fd=fd)
        except FileNotFoundError:
            if not make:
                raise
            os.mkdir(name, 0o755, dir_fd=fd)
            return os.open(name, _DIRECTORY, dir_fd=fd)
        except OSError as error:
            # A link or a file: ENOTDIR on Linux, ELOOP by POSIX.
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            try:
                return os.readlink(name, dir_fd=fd)
            except OSError:
                raise error from None
