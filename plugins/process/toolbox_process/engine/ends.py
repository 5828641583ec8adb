"""Ends of jobs: exit codes, and their reasons."""

from __future__ import annotations

import signal
from enum import StrEnum

from toolbox_process.engine.launcher import Counts

SIGNALED = 128
"""Added to a signal's number, as shells do, for the exit code of what it has ended."""


class Reason(StrEnum):
    """The cause of a job's end."""

    EXITED = "exited"
    SIGNAL = "signal"
    TIMEOUT = "timeout"
    OOM = "oom"
    PIDS_LIMIT = "pids-limit"
    CANCELLED = "cancelled"
    SPAWN_FAILED = "spawn-failed"
    DAEMON_RESTART = "daemon-restart"


KILLED = SIGNALED + signal.SIGKILL


def classify_exit(status: int, before: Counts, now: Counts) -> tuple[int, Reason]:
    """Return the exit code and the reason of an end, by the status (negative for a signal) and what
    the kernel has counted from the start to then.

    A shell passes on the status of what was killed below it, so that is looked at, too.
    """
    code = SIGNALED - status if status < 0 else status
    if code == KILLED and now.oom > before.oom:
        return code, Reason.OOM
    if code and now.pids > before.pids:
        return code, Reason.PIDS_LIMIT
    return code, Reason.SIGNAL if status < 0 else Reason.EXITED
