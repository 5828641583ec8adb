"""Memory that other processes of the same user can't read."""

from __future__ import annotations

import ctypes
import os

_PR_SET_DUMPABLE = 4


def hide_memory() -> None:
    """Refuse ``/proc/<pid>/mem``, ptrace(2) and the like to all without CAP_SYS_PTRACE, for this
    process and those it forks until they execute a program (prctl(2), PR_SET_DUMPABLE).

    For root only. The files below ``/proc/self`` become root's, and another user's service could
    no longer set the OOM score of its jobs.
    """
    if os.geteuid() == 0:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
