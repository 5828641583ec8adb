"""Ways below one directory that no link leads out of, whoever changes what meanwhile.

As openat2(2) does with RESOLVE_BENEATH, which older kernels don't have: each directory is opened
by its name in the one above it, links are read and followed here.
"""

from __future__ import annotations

import errno
import os

MAX_LINKS = 40
"""Links that are followed on one way, as many as the kernel does."""

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class LeadsOutside(Exception):
    """The way leaves the directory, or nobody can tell."""


class Beneath:
    """The directory ``root`` and what is below it. Raises OSError if it can't be opened."""

    def __init__(self, root: str) -> None:
        self._root = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._last: tuple[list[str], int, list[str]] | None = None

    def directory(self, parts: list[str], make: bool) -> tuple[int, list[str]]:
        """The directory that the names ``parts`` lead to, and its names without links.

        The descriptor is good until the next call. With ``make`` what is missing is made. Raises
        LeadsOutside, OSError.
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
        """Whether a link to ``target`` in the directory ``names`` leads out, as far as one can
        tell: it may lead to what isn't there yet.
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
                    names.pop()
                    above = self._walk(names, make=False)[0]
                else:
                    opened = self._open(fd, part, make)
                    if isinstance(opened, str):
                        links += 1
                        if links > MAX_LINKS or opened.startswith("/"):
                            raise LeadsOutside
                        pending += opened.split("/")[::-1]
                        continue
                    above = opened
                    names.append(part)
                os.close(fd)
                fd = above
        except BaseException:
            os.close(fd)
            raise
        return fd, names

    def _open(self, fd: int, name: str, make: bool) -> int | str:
        """The directory ``name`` in the directory ``fd``, or where a link of that name leads."""
        try:
            return os.open(name, _DIRECTORY, dir_fd=fd)
        except FileNotFoundError:
            if not make:
                raise
            os.mkdir(name, 0o755, dir_fd=fd)
            return os.open(name, _DIRECTORY, dir_fd=fd)
        except OSError as error:
            # A link, or a file that is no directory: ENOTDIR, or ELOOP as POSIX has it.
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            try:
                return os.readlink(name, dir_fd=fd)
            except OSError:
                raise error from None
