"""inotify(7): the kernel's news of what changes in directories."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

MODIFY = 0x2
ATTRIB = 0x4
MOVED_FROM = 0x40
MOVED_TO = 0x80
CREATE = 0x100
DELETE = 0x200
DELETE_SELF = 0x400
MOVE_SELF = 0x800
UNMOUNT = 0x2000
Q_OVERFLOW = 0x4000
IGNORED = 0x8000
ONLYDIR = 0x0100_0000
ISDIR = 0x4000_0000

CHANGES = MODIFY | ATTRIB | MOVED_FROM | MOVED_TO | CREATE | DELETE | DELETE_SELF | MOVE_SELF

_READ = 64 * 1024
_HEADER = struct.Struct("iIII")


class News(NamedTuple):
    """One event: the watch it belongs to, what, the cookie of a renaming, and the name."""

    watch: int
    mask: int
    cookie: int
    name: str


@functools.cache
def _c_library() -> ctypes.CDLL:
    """The C library: each call of CDLL makes classes of its own."""
    return ctypes.CDLL(None, use_errno=True)


class Inotify:
    """One inotify instance; it doesn't block."""

    def __init__(self) -> None:
        self._library = _c_library()
        self.fd = self._checked(
            self._library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify"
        )

    def add(self, path: str, mask: int) -> int:
        """Watch ``path``; the number of the watch. Raises OSError, ENOSPC if there are too many."""
        return self._checked(
            self._library.inotify_add_watch(self.fd, os.fsencode(path), ctypes.c_uint32(mask)),
            path,
        )

    def remove(self, watch: int) -> None:
        """Watch it no longer; one that is gone already is fine."""
        self._library.inotify_rm_watch(self.fd, watch)

    def read(self) -> Iterator[News]:
        """What has happened since the last call, as far as one read tells."""
        try:
            data = os.read(self.fd, _READ)
        except BlockingIOError:
            return
        place = 0
        while place < len(data):
            watch, mask, cookie, length = _HEADER.unpack_from(data, place)
            place += _HEADER.size
            name = data[place : place + length].rstrip(b"\0")
            place += length
            yield News(watch, mask, cookie, os.fsdecode(name))

    def close(self) -> None:
        """End all watches."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __del__(self) -> None:
        if getattr(self, "fd", -1) >= 0:
            self.close()

    def _checked(self, result: int, what: str) -> int:
        if result < 0:
            number = ctypes.get_errno() or errno.EIO
            raise OSError(number, os.strerror(number), what)
        return result
