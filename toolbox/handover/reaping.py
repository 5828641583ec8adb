"""Children of the master that have ended."""

from __future__ import annotations

import os
from collections.abc import Iterator

from toolbox.handover.control import Message
from toolbox.linux.procfs import stat_fields


def ended_children() -> Iterator[int]:
    """Yield the pid of each child that has ended; it is to be reaped before the next one."""
    while True:
        # Only looked at: gunicorn's waitpid() would drop the status of what it doesn't know.
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None:
            return
        yield found.si_pid


def reap(pid: int) -> Message:
    """Reap a child; return the message about it for the workers. Its start tells it from others
    with the same pid.
    """
    # A zombie still has its times; once it is reaped the pid is free for another.
    try:
        started = int(stat_fields(pid)[19])
    except (OSError, IndexError, ValueError):
        started = 0
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return {"kind": "ended", "pid": pid, "started": started, "status": code}
