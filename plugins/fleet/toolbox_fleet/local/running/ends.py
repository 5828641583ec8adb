"""The reason for which a service has ended, for people."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from toolbox_fleet.local.layout import SandboxPaths

TAIL = 2000
"""Bytes of the end of a log that a reason quotes."""

SHELL_SIGNAL = 128
"""Added to a signal's number by wrappers that report their child's end as a status."""


def reason(status: int | None, paths: SandboxPaths, oom: bool = False) -> str:
    """Return the reason for an end: ``status`` as of subprocess.Popen, None if nobody saw it."""
    lines = _tail(paths.output) or _tail(paths.log)
    text = "its service ended"
    if status is not None:
        number = -status if status < 0 else status - SHELL_SIGNAL
        name = _signal_name(number)
        text += f": {name}" if name else f" with exit status {status}"
    if oom:
        text += ", as the memory limit was reached"
    return f"{text}; its last words: {lines}" if lines else text


def _signal_name(number: int) -> str:
    try:
        return f"killed by {signal.Signals(number).name}"
    except ValueError:
        return ""


def _tail(file: Path) -> str:
    """Return the end of a log, "" if there is none."""
    try:
        # The sandbox may have put a link or a pipe in its place.
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as opened:
        try:
            opened.seek(0, os.SEEK_END)
            opened.seek(max(0, opened.tell() - TAIL))
            return opened.read(TAIL).decode("utf-8", "replace").strip()
        except OSError:
            return ""
