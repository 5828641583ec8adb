"""Access to files with another user's rights, on one thread for a moment."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

_LIBC = ctypes.CDLL(None)

_ASK = -1
"""An id that is none: setfsuid(2) then changes nothing and returns the present one."""


@contextmanager
def acting_as(uid: int, gid: int) -> Iterator[None]:
    """Let the kernel check this thread's access to files as that user's (setfsuid(2)).

    Root's override of permissions is gone for the time; its supplementary groups are not. Raises
    OSError.
    """
    before = _LIBC.setfsgid(_ASK), _LIBC.setfsuid(_ASK)
    _LIBC.setfsgid(gid)
    _LIBC.setfsuid(uid)
    try:
        # The calls report no errors.
        if (_LIBC.setfsgid(_ASK), _LIBC.setfsuid(_ASK)) != (gid, uid):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        yield
    finally:
        _LIBC.setfsuid(before[1])
        _LIBC.setfsgid(before[0])
