"""Detection of silent remotes: except over HTTP, git waits for them without a limit."""

from __future__ import annotations

import contextlib
import re

from toolbox.linux.clock import awake
from toolbox.linux.procfs import cpu_ticks
from toolbox.linux.procfs import read
from toolbox.processes import descendants
from toolbox_git.errors import TransportFailed
from toolbox_git.urls import scheme_of

_SWITCHES = re.compile(rb"ctxt_switches:\s*(\d+)")


class StallDetector:
    """A detector of processes that, with their descendants, do nothing for ``patience`` seconds.

    A process that receives a byte is woken up, and one that computes uses CPU time; the kernel
    counts both (proc(5)). Where it doesn't, a stall is never reported.
    """

    def __init__(self, pid: int, patience: float) -> None:
        self._pid = pid
        self._patience = patience
        self._counts: list[tuple[int, ...]] = []
        self._since = self._next = awake()

    def check(self) -> None:
        """Raise TransportFailed if the stall has lasted too long."""
        now = awake()
        if now < self._next:
            return
        self._next = now + self._patience / 4
        with contextlib.suppress(OSError):  # A descendant has exited since it was listed.
            counts = [_counts(pid) for pid in (self._pid, *descendants(self._pid))]
            if all(counts) and counts == self._counts:
                if now - self._since >= self._patience:
                    raise TransportFailed(
                        f"timeout: the remote was silent for {self._patience:g} s"
                    )
                return
            self._counts = counts
        self._since = now


def stall_detector_for(pid: int, url: str, patience: float) -> StallDetector | None:
    """Return a detector for git's process with the remote ``url``; None where curl detects it."""
    if not url or scheme_of(url) in ("http", "https"):
        return None
    return StallDetector(pid, patience)


def _counts(pid: int) -> tuple[int, ...]:
    """Return the process's context switches and CPU time; empty if the kernel hides them."""
    switches = _SWITCHES.findall(read(f"/proc/{pid}/status"))
    return (pid, *map(int, switches), cpu_ticks(pid)) if switches else ()
