"""Processes as ``/proc`` shows them (proc(5)).

One that has ended is told by the errnos that mean so. Any other, no descriptor being left, say,
is raised: what can't be looked at may well live on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import NamedTuple

from toolbox.processes import GONE
from toolbox.processes import HIDDEN

_TICKS = os.sysconf("SC_CLK_TCK")


class Process(NamedTuple):
    """One process as ``/proc`` shows it. ``started``, in clock ticks since the boot, tells it from
    another that has its pid later.
    """

    pid: int
    parent: int
    group: int
    session: int
    started: int


def now() -> int:
    """The time in the clock ticks that a process's start is told in."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * _TICKS)


def moment() -> tuple[int, int]:
    """Now, as (ticks, pid): later processes have a greater start and pid, unless pids begin anew.
    Raises OSError.
    """
    return now(), int(read("/proc/loadavg").split()[-1])


def read(path: str) -> bytes:
    """The content of a file. Raises OSError."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a thousand of them in a row
        return file.read() or b""


def read_process(pid: int) -> Process | None:
    """The process, or None if it has ended, were it only to be reaped. Raises OSError."""
    try:
        stat = read(f"/proc/{pid}/stat")
    except OSError as error:
        if error.errno in GONE:
            return None
        raise
    # The name, in parentheses, may hold anything; what follows the last one doesn't.
    fields = stat.rpartition(b")")[2].split()
    if len(fields) < 20 or fields[0] in (b"Z", b"X"):
        return None
    return Process(pid, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def all_processes() -> Iterator[Process]:
    """Every live process but those of other users that are hidden from us. Raises OSError."""
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
    """Whether the process has a handler for a signal. Raises OSError."""
    for line in read(f"/proc/{pid}/status").splitlines():
        if line.startswith(b"SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def children(pid: int) -> frozenset[int]:
    """The pids of the children of a process without threads. Raises OSError."""
    try:
        # Quick, but not there on every kernel (CONFIG_PROC_CHILDREN).
        return frozenset(map(int, read(f"/proc/{pid}/task/{pid}/children").split()))
    except FileNotFoundError:
        return frozenset(each.pid for each in all_processes() if each.parent == pid)
