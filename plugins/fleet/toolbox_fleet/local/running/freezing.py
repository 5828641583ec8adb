"""Suspending all processes of a sandbox, by signals.

The service is stopped first and continued last: it would replace a worker that doesn't respond,
though not one that is stopped.
"""

from __future__ import annotations

import signal

from toolbox.linux.procfs import read_state
from toolbox_fleet.local.records import Running
from toolbox_fleet.local.running.tree import master
from toolbox_fleet.local.running.tree import members
from toolbox_fleet.local.running.tree import send

ROUNDS = 50
"""Looks for processes that others have started meanwhile, at most."""


def suspend(running: Running, sandbox_id: str) -> None:
    """Stop all processes of a sandbox. Raises OSError if they start others too quickly."""
    spared = {running.pid, running.inner} if running.inner else set()
    if pid := master(running):
        send(pid, signal.SIGSTOP)
    told: set[int] = set()
    for _ in range(ROUNDS):
        # bwrap's own processes only wait; what they wait for must not look like the end.
        going = {
            pid for pid in members(running, sandbox_id) - spared if not _is_suspended(pid, told)
        }
        if not going:
            return
        for pid in going:
            send(pid, signal.SIGSTOP)
        told |= going
    raise OSError("its processes start others faster than they are suspended")


def _is_suspended(pid: int, told: set[int]) -> bool:
    state = read_state(pid)
    # A shell that waits in vfork(2) for a child that was stopped before its execve(2) stops only
    # with that child's next step; the signal is pending, so that it does nothing until then.
    return state in ("T", "t", "Z", "X", "") or (state == "D" and pid in told)


def resume(running: Running, sandbox_id: str) -> None:
    """Continue all processes of a sandbox. Raises OSError if it can't look."""
    first = master(running)
    for pid in members(running, sandbox_id) - {first}:
        send(pid, signal.SIGCONT)
    if first:
        send(first, signal.SIGCONT)
