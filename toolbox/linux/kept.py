"""Processes that outlive the service that started them.

Everything below the master ends with the worker or with the service, see
:mod:`toolbox.linux.reaper`. A backend whose processes are services of their own keeps them, for
the next worker or the next service to adopt. Only the worker's word counts: an environment
variable or a limit that marked them would let any job escape.
"""

from __future__ import annotations

import mmap
import struct
import threading

from toolbox.linux.procfs import read_process

SLOTS = 4096
"""Processes that can be kept at once."""

_SLOT = struct.Struct("=qq")
_EMPTY = (0, 0)


class KeptProcesses:
    """Pids, each with its start, in memory that the master and its workers share."""

    def __init__(self) -> None:
        # Anonymous and MAP_SHARED, as SharedText is: made before the fork, seen by all after it.
        self._memory = mmap.mmap(-1, SLOTS * _SLOT.size)
        self._lock = threading.Lock()

    def keep(self, pid: int, started: int) -> None:
        """Keep a process. Raises RuntimeError if there are too many."""
        with self._lock:
            if (pid, started) not in self._all():
                self._replace(_EMPTY, (pid, started))

    def forget(self, pid: int, started: int) -> None:
        """Let the process end with the service, as others do."""
        with self._lock:
            if (pid, started) in self._all():
                self._replace((pid, started), _EMPTY)

    def living(self) -> set[int]:
        """Return the pids that still are of the processes kept. Raises OSError."""
        found = set()
        for pid, started in self._all():
            process = read_process(pid) if pid else None
            if process is not None and process.started == started:
                found.add(pid)
        return found

    def all(self) -> list[tuple[int, int]]:
        """Return the pid and the start of each process kept."""
        return [slot for slot in self._all() if slot != _EMPTY]

    def _all(self) -> list[tuple[int, int]]:
        return [(pid, started) for pid, started in _SLOT.iter_unpack(self._memory[:])]

    def _replace(self, old: tuple[int, int], new: tuple[int, int]) -> None:
        slots = self._all()
        if old not in slots:
            raise RuntimeError(f"over {SLOTS} processes to be kept")
        start = slots.index(old) * _SLOT.size
        # One copy: no reader sees half of it.
        self._memory[start : start + _SLOT.size] = _SLOT.pack(*new)


# A service has one, made before its worker is forked.
_kept = KeptProcesses()
keep = _kept.keep
forget = _kept.forget
living = _kept.living
all_kept = _kept.all
