"""Remotes that say nothing: but for HTTP, git waits for them without end."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from toolbox.clock import awake
from toolbox.processes import descendants
from toolbox_git.errors import TransportFailed
from toolbox_git.urls import scheme_of

_SWITCHES = re.compile(r"ctxt_switches:\s*(\d+)")


class Silence:
    """Tells when a process, with all below it, has done nothing for ``patience`` seconds.

    Whoever gets a byte is woken up, and whoever computes takes time, which the kernel counts
    (proc(5)). Where it doesn't, nothing is told.
    """

    def __init__(self, pid: int, patience: float) -> None:
        self._pid = pid
        self._patience = patience
        self._counts: list[tuple[str, ...]] = []
        self._since = self._next = awake()

    def check(self) -> None:
        """Raise TransportFailed if it has lasted too long."""
        now = awake()
        if now < self._next:
            return
        self._next = now + self._patience / 4
        with contextlib.suppress(OSError):  # One has ended meanwhile.
            counts = [_counts(pid) for pid in (self._pid, *descendants(self._pid))]
            if all(counts) and counts == self._counts:
                if now - self._since >= self._patience:
                    raise TransportFailed(
                        f"timeout: the remote was silent for {self._patience:g} s"
                    )
                return
            self._counts = counts
        self._since = now


def silence_of(pid: int, url: str, patience: float) -> Silence | None:
    """What watches over git's process for the remote ``url``; curl does so itself."""
    if not url or scheme_of(url) in ("http", "https"):
        return None
    return Silence(pid, patience)


def _counts(pid: int) -> tuple[str, ...]:
    """How often the process was switched to and how long it has run, empty if that isn't known."""
    directory = Path(f"/proc/{pid}")
    switches = _SWITCHES.findall((directory / "status").read_text("ascii", "replace"))
    # The name, in parentheses, may hold anything; what follows the last one doesn't.
    ran = (directory / "stat").read_text("ascii", "replace").rpartition(")")[2].split()[11:13]
    return (str(pid), *switches, *ran) if switches else ()
