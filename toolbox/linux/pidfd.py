"""Descriptors of processes (pidfd_open(2)), and what does instead where there are none: on kernels
before Linux 5.3, in gVisor, behind seccomp filters.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import threading

from toolbox.linux.procfs import Process
from toolbox.linux.procfs import read_process

INTERVAL = 0.05
"""Seconds between looks at a process where the kernel doesn't tell of its end."""

UNKNOWN = frozenset({errno.ENOSYS, errno.EPERM})
"""Errnos for system calls that are not there: of kernels, and of older container runtimes."""


def open_process(pid: int) -> int:
    """Return a descriptor that is readable once the process has ended; the caller closes it.

    Raises ProcessLookupError if there is no such process, OSError if there are no descriptors.
    """
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        if error.errno not in UNKNOWN:
            raise
    process = read_process(pid)
    if process is None:
        os.kill(pid, 0)  # Unless it waits to be reaped: then it has ended.
    reading, writing = os.pipe2(os.O_CLOEXEC)
    threading.Thread(
        target=_watch, args=(process, writing), name="process-end", daemon=True
    ).start()
    return reading


def send_signal(fd: int, pid: int, number: int) -> None:
    """Send a signal to the process of this descriptor, which is not readable. Raises OSError."""
    try:
        signal.pidfd_send_signal(fd, number)
    except OSError as error:
        # The last one is of a descriptor that does instead.
        if error.errno not in UNKNOWN | {errno.EBADF}:
            raise
        os.kill(pid, number)


def _watch(process: Process | None, writing: int) -> None:
    """Close the descriptor once the process has ended, or nobody waits for that any more."""
    closed = select.poll()
    closed.register(writing, 0)
    try:
        while process is not None and _is_alive(process):
            if closed.poll(INTERVAL * 1000):
                return
    finally:
        os.close(writing)


def _is_alive(process: Process) -> bool:
    try:
        found = read_process(process.pid)
    except OSError:  # No descriptors left: look again.
        return True
    return found is not None and found.started == process.started
