"""The one reader of ``/proc/<pid>`` (proc(5)).

The errnos of :data:`GONE` mean that a process has ended. Any other, such as running out of
descriptors, is raised: a process that can't be read may well be alive.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from typing import NamedTuple

GONE = frozenset({errno.ENOENT, errno.ESRCH})
"""Errnos for a process that has ended. Every other leaves that open."""

HIDDEN = frozenset({errno.EACCES, errno.EPERM})
"""Errnos for another user's process where those are hidden (``hidepid`` in proc(5))."""

_TICKS = os.sysconf("SC_CLK_TCK")


class Process(NamedTuple):
    """One process. ``started``, in clock ticks since boot, distinguishes it from a later process
    with the same pid.
    """

    pid: int
    parent: int
    group: int
    session: int
    started: int


def now() -> int:
    """Return the time in clock ticks since boot, the unit of ``Process.started``."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * _TICKS)


def moment() -> tuple[int, int]:
    """Return (ticks, pid) of now: later processes have a greater start and pid, unless pids wrap
    around. Raises OSError.
    """
    return now(), int(read("/proc/loadavg").split()[-1])


def read(path: str) -> bytes:
    """Return the content of a file. Raises OSError."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a thousand of them in a row
        return file.read() or b""


def stat_fields(pid: int) -> list[bytes]:
    """Return the fields of ``/proc/<pid>/stat`` from the state on: item 0 is field 3 of
    proc_pid_stat(5). Raises OSError.
    """
    # The name, in parentheses, may hold anything; what follows the last one doesn't.
    return read(f"/proc/{pid}/stat").rpartition(b")")[2].split()


def read_state(pid: int) -> str:
    """Return the letter of the process's state (``R``, ``S``, ``T``, ``Z`` ...), "" if it has ended
    or can't be read.
    """
    try:
        return stat_fields(pid)[0].decode("ascii")
    except (OSError, IndexError):
        return ""


def is_alive(pid: int) -> bool:
    """Report whether the process runs; a zombie doesn't."""
    return read_state(pid) not in ("", "Z", "X")


def cpu_ticks(pid: int) -> int:
    """Return the CPU time of the process, user and system, in clock ticks. Raises OSError."""
    user, system = stat_fields(pid)[11:13]
    return int(user) + int(system)


def read_process(pid: int) -> Process | None:
    """Return the process, or None if it has ended, even if not reaped yet. Raises OSError."""
    try:
        fields = stat_fields(pid)
    except OSError as error:
        if error.errno in GONE:
            return None
        raise
    if len(fields) < 20 or fields[0] in (b"Z", b"X"):
        return None
    return Process(pid, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def all_processes() -> Iterator[Process]:
    """Yield every live process except hidden ones of other users. Raises OSError."""
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit():
                try:
                    process = read_process(int(entry.name))
                except OSError as error:
                    if error.errno not in HIDDEN:
                        raise
                else:
                    if process is not None:
                        yield process


def catches(pid: int, number: int) -> bool:
    """Report whether the process handles a signal. Raises OSError."""
    for line in read(f"/proc/{pid}/status").splitlines():
        if line.startswith(b"SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def children(pid: int) -> frozenset[int]:
    """Return the pids of the children of a single-threaded process. Raises OSError."""
    try:
        # Quick, but not there on every kernel (CONFIG_PROC_CHILDREN).
        return frozenset(map(int, read(f"/proc/{pid}/task/{pid}/children").split()))
    except FileNotFoundError:
        return frozenset(child.pid for child in all_processes() if child.parent == pid)


def descendants(pid: int) -> list[int]:
    """Return the pids of every process below ``pid``, deepest last. Raises OSError."""
    children: dict[int, list[int]] = {}
    for process in all_processes():
        children.setdefault(process.parent, []).append(process.pid)
    found: list[int] = []
    queue = [pid]
    for parent in queue:  # It grows while it is walked.
        below = children.get(parent, [])
        found += below
        queue += below
    return found
