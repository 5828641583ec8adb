"""Ending everything below this process, orphans included."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time

from toolbox.linux.kept import living
from toolbox.linux.procfs import descendants

_PR_SET_CHILD_SUBREAPER = 36

_PAUSE = 0.01
"""Seconds between two rounds of killing: what one round orphans becomes our child."""


def adopt_orphans() -> None:
    """Become the parent of every orphan below this process (prctl(2), PR_SET_CHILD_SUBREAPER).

    Daemons that jobs leave behind are then still found, and reaped, where the service isn't PID 1.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def kill_descendants(keep: set[int], timeout: float = 5.0) -> None:
    """Kill everything below this process except ``keep``, what :mod:`toolbox.linux.kept` keeps, and
    their descendants.

    Repeats until nothing is left, ``timeout`` seconds at most. For a process that waits for no
    other children: it reaps whatever ends.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            spared = keep | living()
            kept = spared.union(*(descendants(pid) for pid in spared))
            targets = [pid for pid in descendants(os.getpid()) if pid not in kept]
        except OSError:  # At this moment no descriptor is left to read /proc with.
            time.sleep(_PAUSE)
            continue
        if not targets:
            return
        for pid in targets:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        _reap(targets)
        time.sleep(_PAUSE)


def _reap(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
