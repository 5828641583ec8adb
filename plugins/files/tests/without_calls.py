"""Run a program on a kernel without some system calls: ``without_calls.py NAME,... PROGRAM ...``.

A filter (seccomp(2)) answers them with ENOSYS, as old kernels do; and openat(2) with O_TMPFILE, if
that is among the names, with EOPNOTSUPP, as many file systems do.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

NUMBERS = {
    "x86_64": {
        "inotify_init1": 294,
        "renameat2": 316,
        "memfd_create": 319,
        "splice": 275,
        "O_TMPFILE": 257,
    },
    "aarch64": {
        "inotify_init1": 26,
        "renameat2": 276,
        "memfd_create": 279,
        "splice": 76,
        "O_TMPFILE": 56,
    },
}[platform.machine()]

_LOAD_NUMBER = (0x20, 0, 0, 0)
_LOAD_FLAGS = (0x20, 0, 0, 32)
"""The lower half of the third argument."""
_ALLOW = (0x06, 0, 0, 0x7FFF0000)
_REFUSE = (0x06, 0, 0, 0x00050000 | errno.ENOSYS)
_UNSUPPORTED = (0x06, 0, 0, 0x00050000 | errno.EOPNOTSUPP)
_TMPFILE = os.O_TMPFILE & ~os.O_DIRECTORY
_SET_NO_NEW_PRIVS, _SET_SECCOMP, _MODE_FILTER = 38, 22, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse(names: list[str]) -> None:
    """Have this process and its children refused what has these names. Raises OSError."""
    steps = [_LOAD_NUMBER]
    for name in names:
        if name == "O_TMPFILE":
            steps += [(0x15, 0, 4, NUMBERS[name]), _LOAD_FLAGS, (0x45, 0, 1, _TMPFILE)]
            steps += [_UNSUPPORTED, _ALLOW]
        else:
            steps += [(0x15, 0, 1, NUMBERS[name]), _REFUSE]
    packed = b"".join(struct.pack("HBBI", *step) for step in [*steps, _ALLOW])
    program = _Program(len(packed) // 8, packed)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or prctl(
        _SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0
    ):
        raise OSError(ctypes.get_errno(), "prctl")


refuse(sys.argv[1].split(","))
os.execvp(sys.argv[2], sys.argv[2:])
