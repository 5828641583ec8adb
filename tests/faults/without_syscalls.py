"""Run a program for which the kernel doesn't know some system calls, as old kernels, gVisor and
container runtimes with a strict seccomp profile have it:
``without_syscalls.py [--errno=ENOSYS] [--only=call,call] program arguments``.

They fail for the program and everything it starts (seccomp(2)).
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import os
import platform
import struct

MISSING = {
    "x86_64": {
        "inotify_init": 253,
        "inotify_init1": 294,
        "renameat2": 316,
        "memfd_create": 319,
        "execveat": 322,
        "copy_file_range": 326,
        "preadv2": 327,
        "statx": 332,
    },
    "aarch64": {
        "inotify_init1": 26,
        "renameat2": 276,
        "memfd_create": 279,
        "execveat": 281,
        "copy_file_range": 285,
        "preadv2": 286,
        "statx": 291,
    },
}
"""The numbers that differ."""

EVERYWHERE = {
    "pidfd_send_signal": 424,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "pidfd_open": 434,
    "clone3": 435,
    "close_range": 436,
    "openat2": 437,
    "pidfd_getfd": 438,
    "faccessat2": 439,
    "epoll_pwait2": 441,
}
"""Since Linux 5.1 new ones have the same number on every machine."""

ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # audit.h

LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF: LD|W|ABS, JMP|JEQ|K, RET|K
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER = 38, 22, 2


def instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)


def install(numbers: list[int], answer: int) -> None:
    """Answer these system calls of this process with an errno. Raises OSError."""
    machine = platform.machine()
    refuse = [
        part
        for number in numbers
        for part in (instruction(EQUAL, number, 0, 1), instruction(RETURN, ERRNO | answer))
    ]
    program = b"".join(
        [
            instruction(LOAD, 4),  # The architecture: other numbers mean other calls.
            instruction(EQUAL, ARCHITECTURE[machine], 1, 0),
            instruction(RETURN, ALLOW),
            instruction(LOAD, 0),
            *refuse,
            instruction(RETURN, ALLOW),
        ]
    )
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if os.geteuid():
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if prctl(PR_SET_SECCOMP, MODE_FILTER, ctypes.c_char_p(header)):
        raise OSError(ctypes.get_errno(), "the filter can't be installed")


def main() -> None:
    known = {**MISSING[platform.machine()], **EVERYWHERE}
    parser = argparse.ArgumentParser()
    parser.add_argument("--errno", default="ENOSYS")
    parser.add_argument("--only", default=",".join(known))
    parser.add_argument("program", nargs=argparse.REMAINDER)
    chosen = parser.parse_args()
    install([known[name] for name in chosen.only.split(",")], getattr(errno, chosen.errno))
    os.execvp(chosen.program[0], chosen.program)


if __name__ == "__main__":
    main()
