"""A binding of inotify(7), the kernel's events of changes in directories."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

# The constants of <sys/inotify.h>.
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
ISDIR = 0x4000_0000

ALL_CHANGES = MODIFY | ATTRIB | MOVED_FROM | MOVED_TO | CREATE | DELETE | DELETE_SELF | MOVE_SELF

_READ = 64 * 1024
# struct inotify_event, without its name.
_HEADER = struct.Struct("iIII")


class InotifyEvent(NamedTuple):
    """An event. ``cookie`` pairs the halves of a rename; ``name`` is empty for the path itself."""

    watch: int
    mask: int
    cookie: int
    name: str


@functools.cache
def _c_library() -> ctypes.CDLL:
    """Return the C library, loaded once: each call of CDLL creates new classes."""
    return ctypes.CDLL(None, use_errno=True)


class Inotify:
    """An inotify instance, nonblocking. Raises OSError."""

    def __init__(self) -> None:
        self._library = _c_library()
        self.fd = self._checked(
            self._library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify"
        )

    def add(self, path: str, mask: int) -> int:
        """Watch ``path``; return the watch descriptor. Raises OSError: ENOSPC at the limit."""
        return self._checked(
            self._library.inotify_add_watch(self.fd, os.fsencode(path), ctypes.c_uint32(mask)),
            path,
        )

    def remove(self, watch: int) -> None:
        """Remove a watch, which may have been removed already."""
        self._library.inotify_rm_watch(self.fd, watch)

    def read(self) -> Iterator[InotifyEvent]:
        """Yield queued events, as many as fit one system call."""
        try:
            data = os.read(self.fd, _READ)
        except BlockingIOError:
            return
        offset = 0
        while offset < len(data):
            watch, mask, cookie, length = _HEADER.unpack_from(data, offset)
            offset += _HEADER.size
            # The name is padded with NULs to the alignment of the next event.
            name = data[offset : offset + length].rstrip(b"\0")
            offset += length
            yield InotifyEvent(watch, mask, cookie, os.fsdecode(name))

    def close(self) -> None:
        """Remove all watches and close the descriptor."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __del__(self) -> None:
        # A handler whose handshake fails is never closed.
        if getattr(self, "fd", -1) >= 0:
            self.close()

    def _checked(self, result: int, what: str) -> int:
        if result < 0:
            number = ctypes.get_errno() or errno.EIO
            raise OSError(number, os.strerror(number), what)
        return result
