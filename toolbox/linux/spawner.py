"""A thread that starts child processes with every core and a higher OOM score."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from toolbox.linux.procfs import read

TAGS = 64
"""Different OOM scores that children are given: 1/1000 of the memory apart."""

_SACRIFICE = 500
"""Added to the OOM score of children, of 1000: the kernel kills them before the service."""

_RLIMIT_LOCKS = 10
"""A limit that Linux has not enforced since 2.4.25 (setrlimit(2)) but that children inherit."""

_FIRST_NUMBER = 1 << 62


class Spawner:
    """Starts children on its own thread, which has every core.

    A child inherits cores, ``oom_score_adj`` and limits (proc(5)) from its parent. A thread of a
    pinned service that changed its cores for the moment would be moved to and fro between them,
    which takes milliseconds where they are busy. Score and limit are the process's: they are set
    for the moment of the start, which needs no privilege, and so hold before the child can have
    children.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "toolbox-spawner", initializer=self._prepare)
        self._cores: set[int] = set()
        self._score = -1
        self._own = self._raised = 0
        self._locks = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)

    def pin_to_one_core(self) -> None:
        """See :func:`toolbox.processes.pin_to_one_core`. To be called before :meth:`popen`."""
        cores = os.sched_getaffinity(0)
        if len(cores) > 1:
            self._cores = cores
            os.sched_setaffinity(0, {max(cores)})

    def _prepare(self) -> None:
        if self._cores:
            os.sched_setaffinity(0, self._cores)
        with contextlib.suppress(OSError):
            self._score = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
            self._own = int(os.pread(self._score, 16, 0))
            # With room above for the tags, where there is any.
            self._raised = max(self._own + 1, min(self._own + _SACRIFICE, 1001 - TAGS))
        self._locks = resource.getrlimit(_RLIMIT_LOCKS)

    def popen(
        self, arguments: list[str], number: int, options: dict[str, Any]
    ) -> subprocess.Popen[Any]:
        """Start a child as subprocess.Popen does. Raises as that does."""
        return self._thread.submit(self._popen, arguments, number, options).result()

    def _popen(
        self, arguments: list[str], number: int, options: dict[str, Any]
    ) -> subprocess.Popen[Any]:
        # Before the start: set later, the first processes the child starts might not inherit it.
        self._set_score(min(1000, self._raised + number % TAGS))
        self._set_number(number)
        try:
            return subprocess.Popen(arguments, **options)
        finally:
            self._set_score(self._own)
            self._set_number(0)

    def _set_score(self, score: int) -> None:
        if self._score >= 0:
            with contextlib.suppress(OSError):
                os.pwrite(self._score, b"%d" % score, 0)

    def _set_number(self, number: int) -> None:
        soft, hard = self._locks
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(_RLIMIT_LOCKS, (_FIRST_NUMBER + number if number else soft, hard))

    def read_tag(self, pid: int) -> int | None:
        """See :func:`toolbox.processes.read_tag`."""
        tag = int(read(f"/proc/{pid}/oom_score_adj")) - self._raised
        # Without room above, every child has the same score.
        room = self._score >= 0 and self._raised + TAGS <= 1001
        return tag if room and 0 <= tag < TAGS else None


def read_number(pid: int) -> int:
    """Return the ``number`` that :func:`toolbox.processes.popen` gave a process or an ancestor of
    it, 0 without one.

    Raises OSError, with an errno of :data:`toolbox.linux.procfs.GONE` if the process has ended.
    """
    for line in read(f"/proc/{pid}/limits").splitlines():
        if line.startswith(b"Max file locks"):
            soft = line.split()[3]
            return max(0, int(soft) - _FIRST_NUMBER) if soft.isdigit() else 0
    return 0
