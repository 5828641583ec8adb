"""A window manager that supports the ICCCM but not EWMH.

With ``late`` it has taken the screen for a while before it looks at what is asked of it.
"""

from __future__ import annotations

import sys
import time

from Xlib import X
from Xlib import Xutil
from Xlib.display import Display


def main(*modes: str) -> None:
    display = Display()
    display.screen().root.change_attributes(event_mask=X.SubstructureRedirectMask)
    display.sync()
    if "late" in modes:
        time.sleep(1)
    while True:
        event = display.next_event()
        if event.type == X.MapRequest:
            event.window.set_wm_state(state=Xutil.NormalState, icon=X.NONE)
            event.window.map()


main(*sys.argv[1:])
