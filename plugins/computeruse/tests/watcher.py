"""A window of 400 x 300 pixels in four colors that logs its events."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from Xlib import X
from Xlib.display import Display
from Xlib.protocol.rq import Event

COLOURS = ((0, 0, 0xFF0000), (200, 0, 0x00FF00), (0, 150, 0x0000FF), (200, 150, 0xFFFF00))
MASK = (
    X.ExposureMask
    | X.KeyPressMask
    | X.KeyReleaseMask
    | X.ButtonPressMask
    | X.ButtonReleaseMask
    | X.ButtonMotionMask
)


def main(title: str, path: str) -> None:
    display = Display()
    screen = display.screen()
    window = screen.root.create_window(
        100, 100, 400, 300, 0, screen.root_depth, event_mask=MASK, background_pixel=0
    )
    name = display.intern_atom("_NET_WM_NAME")
    window.change_property(name, display.intern_atom("UTF8_STRING"), 8, title.encode())
    window.set_wm_class("watcher", "Watcher")
    window.map()
    with Path(path).open("a", buffering=1) as file:
        while True:
            event = display.next_event()
            if event.type == X.Expose:
                for x, y, colour in COLOURS:
                    brush = window.create_gc(foreground=colour)
                    window.fill_rectangle(brush, x, y, 200, 150)
                display.sync()
            if event.type == X.MappingNotify:
                display.refresh_keyboard_mapping(event)
            else:
                file.write(json.dumps(describe(display, event)) + "\n")


def describe(display: Display, event: Event) -> dict[str, object]:
    found: dict[str, object] = {"type": type(event).__name__}
    if event.type in (X.KeyPress, X.KeyRelease):
        keysym = display.keycode_to_keysym(event.detail, event.state & X.ShiftMask)
        found["key"] = f"{keysym:#x}"
        found["code"] = event.detail
    if event.type in (X.ButtonPress, X.ButtonRelease):
        found["button"] = event.detail
    if "state" in event._data:
        found.update(state=event.state, x=event.event_x, y=event.event_y)
    return found


main(*sys.argv[1:])
