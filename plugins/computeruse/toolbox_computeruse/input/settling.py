"""Waiting until the program with the keyboard focus has read its input.

A slow program sees pressed keys and a new keyboard map at the same time, and applies the new map
to the old keys. The protocol has no way to ask what it has read. But a program that waits for
input sleeps, and one that was sent input is runnable as soon as the server has written it, however
busy the machine is. A program also sleeps while it waits for a reply from the server; that case is
excluded if the server has replied to all clients and the program hasn't run since.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from toolbox.linux.clock import awake

if TYPE_CHECKING:
    from Xlib.display import Display

MIN_WAIT = 0.02
"""Seconds to wait at least."""
MAX_WAIT = 5.0
"""Seconds to wait at most, for a program that is busy with something else."""
UNKNOWN_WAIT = 0.15
"""Seconds to wait for a program whose process isn't known."""
LOOK_INTERVAL = 0.004
"""Seconds between two looks at the program's state."""
LOOKS = 3
"""Consecutive looks at which it must be asleep: it may wait for something else for a moment."""
MAX_DEPTH = 32
"""Ancestors of the focused window that are searched for a pid."""


def settle(display: Display) -> None:
    """Wait until the program with the keyboard focus has read all input."""
    _flush_replies(display)
    pid = _focused_pid(display)
    if pid is None:
        time.sleep(UNKNOWN_WAIT)
        return
    time.sleep(MIN_WAIT)
    deadline = awake() + MAX_WAIT
    asleep = 0
    while asleep < LOOKS and awake() < deadline:
        before = _sleep(pid)
        _flush_replies(display)
        asleep = asleep + 1 if before is not None and before == _sleep(pid) else 0
        time.sleep(LOOK_INTERVAL)


def _flush_replies(display: Display) -> None:
    """Wait until the server has processed all pending requests and written its replies."""
    # The server serves clients in turn: between the two replies it has served every other one.
    display.sync()
    display.sync()


def _focused_pid(display: Display) -> int | None:
    """Return the pid of the focused window's program; None if it isn't set or isn't visible."""
    from Xlib.error import XError

    atom = display.intern_atom("_NET_WM_PID")
    window: Any = display.get_input_focus().focus
    # The focus is often on a child of the program's window, which has no pid.
    for _ in range(MAX_DEPTH):
        if isinstance(window, int) or window.id == display.screen().root.id:
            return None  # No window has the focus, or the one under the pointer.
        try:
            found = window.get_full_property(atom, 0)
            if found is not None and found.format == 32 and len(found.value):
                pid = int(found.value[0])
                return pid if Path(f"/proc/{pid}").exists() else None
            window = window.query_tree().parent
        except XError:
            return None
    return None


def _sleep(pid: int) -> str | None:
    """Return an identifier of the current sleep of a process's main thread; None if it is awake.

    A process that has ended sleeps forever.
    """
    try:
        text = Path(f"/proc/{pid}/status").read_text("utf-8", "replace")
    except OSError:
        return ""
    fields = dict(line.partition(":")[::2] for line in text.splitlines())
    if fields["State"].split()[0] not in "SZX":
        return None
    # The number of times that the thread has gone to sleep (proc(5)).
    return fields["voluntary_ctxt_switches"]
