"""Waiting until the program that has the keyboard has read what was sent to it.

A program that is late sees keys and a new keyboard map at once, and takes the one for the other.
The protocol has no way to ask how far it is. But a program that waits for input sleeps, and one
that was sent some is runnable as soon as the server has written it, however busy the machine is.
It also sleeps while it waits for an answer of the server, which may take its time; but not if the
server has answered everybody meanwhile and it has not run since.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    from Xlib.display import Display

LEAST = 0.02
MOST = 5.0
"""Seconds: a program that is busy with something else is not waited for any longer."""
BLIND = 0.15
"""Seconds for a program whose process isn't known."""
LOOK = 0.004
LOOKS = 3
"""How often in a row it must be found asleep: it may wait for something else for a moment."""
MAX_DEPTH = 32


def settle(display: Display) -> None:
    """Wait until the program with the keyboard focus has read everything."""
    _let_answer(display)
    pid = _focused_pid(display)
    if pid is None:
        time.sleep(BLIND)
        return
    time.sleep(LEAST)
    deadline = time.monotonic() + MOST
    asleep = 0
    while asleep < LOOKS and time.monotonic() < deadline:
        before = _sleep(pid)
        _let_answer(display)
        asleep = asleep + 1 if before is not None and before == _sleep(pid) else 0
        time.sleep(LOOK)


def _let_answer(display: Display) -> None:
    """Wait until the server has done and written what is to be done for everybody."""
    # When the second answer is there, it has come to all others since it sent the first.
    display.sync()
    display.sync()


def _focused_pid(display: Display) -> int | None:
    """The process of the window that has the focus, if it tells and is one of ours to see."""
    from Xlib.error import XError

    atom = display.intern_atom("_NET_WM_PID")
    window: Any = display.get_input_focus().focus
    for _ in range(MAX_DEPTH):
        if isinstance(window, int) or window.id == display.screen().root.id:
            return None  # Nothing has it, or whatever the pointer is over.
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
    """Which of a process's main thread's sleeps this is, or None if it is awake.

    One that has ended sleeps for ever.
    """
    try:
        text = Path(f"/proc/{pid}/status").read_text("utf-8", "replace")
    except OSError:
        return ""
    fields = dict(line.partition(":")[::2] for line in text.splitlines())
    if fields["State"].split()[0] not in "SZX":
        return None
    # It counts how often the thread gave up its core to wait.
    return fields["voluntary_ctxt_switches"]
