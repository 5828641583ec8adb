"""Monitors (RANDR) and windows (EWMH: the Extended Window Manager Hints of freedesktop.org)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from typing import Any

from toolbox_computeruse.connection import XConnection
from toolbox_computeruse.models import Display
from toolbox_computeruse.models import Window

if TYPE_CHECKING:
    from Xlib.display import Display as XDisplay
    from Xlib.xobject.drawable import Window as XWindow

ANY_TYPE = 0
LONGEST = 65536
"""Maximum size of a property to read, in units of four bytes."""
MAX_WINDOWS = 1000
INPUT_OUTPUT = 1
SUBSTRUCTURE_REDIRECT = 1 << 20
"""The event mask that only one client, the window manager, can have on the root window."""
ANSWERED = 0.3
"""Seconds for a window manager to respond to a window before it is given another one."""
ALL_DESKTOPS = 0xFFFFFFFF
"""The virtual desktop of a window that is on all of them (EWMH)."""


class XDisplays:
    """An implementation of :class:`toolbox_computeruse.backend.Displays` for X11."""

    def __init__(self, connection: XConnection) -> None:
        self._connection = connection
        self._proven: list[int] = []
        """The window that identifies the window manager that was seen to respond."""

    def displays(self) -> list[Display]:
        with self._connection.use() as display:
            found = _monitors(display)
            if found:
                return found
            # Without RANDR the screen is one monitor.
            size = display.screen().root.get_geometry()
            return [Display(id=0, x=0, y=0, width=size.width, height=size.height, is_active=True)]

    def windows(self) -> list[Window]:
        with self._connection.use() as display:
            reader = _Reader(display)
            found = [reader.window(number) for number in reader.clients()[:MAX_WINDOWS]]
            return [window for window in found if window is not None]

    def size(self) -> tuple[int, int]:
        """Return width and height of the whole screen."""
        with self._connection.use() as display:
            size = display.screen().root.get_geometry()
            return size.width, size.height

    def forget_manager(self) -> None:
        """Forget the window manager: the next one may have a window of the same number."""
        self._proven = []

    def manager_runs(self) -> bool:
        """Report whether a window manager has taken the screen and responds to requests.

        It takes the screen long before it responds; openbox ignores windows mapped in between, or
        manages but doesn't activate them.
        """
        with self._connection.use() as display:
            reader, root = _Reader(display), display.screen().root
            manager, supported = reader.manager(), reader.numbers(root, "_NET_SUPPORTED")
            taken = root.get_attributes().all_event_masks & SUBSTRUCTURE_REDIRECT
            if not taken or (manager and not supported):
                return False
            # One without EWMH has no such window: the root window stands for it.
            seen = manager or [root.id]
            if (
                seen != self._proven
                and _responds(display, supported)
                and manager == reader.manager()
            ):
                self._proven = seen
            return seen == self._proven


def _responds(display: XDisplay, supported: list[int]) -> bool:
    """Report whether the window manager handles a new window.

    It must set the extents of its frame (EWMH, _NET_REQUEST_FRAME_EXTENTS) or, where it doesn't
    support that, its state (ICCCM, WM_STATE).
    """
    from Xlib import Xutil

    root = display.screen().root
    window = root.create_window(0, 0, 1, 1, 0, 0, window_class=INPUT_OUTPUT)
    request = display.intern_atom("_NET_REQUEST_FRAME_EXTENTS")
    if request in supported:
        response = "_NET_FRAME_EXTENTS"
        send_to_manager(display, window, request, [0])
    else:
        response = "WM_STATE"
        # Without the input hint the window would take the focus from the user's program.
        window.set_wm_hints(flags=Xutil.InputHint, input=0)
        window.map()
    display.sync()
    atom = display.intern_atom(response)
    deadline = time.monotonic() + ANSWERED
    try:
        while window.get_full_property(atom, ANY_TYPE) is None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True
    finally:
        # At once: a window manager may show a window of one pixel, too.
        window.destroy()
        display.sync()


def send_to_manager(display: XDisplay, window: XWindow, kind: int, data: list[int]) -> None:
    """Send the window manager a client message about ``window``, through the root (EWMH)."""
    from Xlib import X
    from Xlib.protocol.event import ClientMessage

    # A client message of format 32 has five units (X protocol, ClientMessage).
    units = [*data, 0, 0, 0, 0, 0][:5]
    event = ClientMessage(window=window, client_type=kind, data=(32, units))
    mask = X.SubstructureRedirectMask | X.SubstructureNotifyMask
    display.screen().root.send_event(event, event_mask=mask)


def _monitors(display: XDisplay) -> list[Display]:
    if not display.has_extension("RANDR"):
        return []
    found: Any = display.screen().root.xrandr_get_monitors()
    monitors = sorted(found.monitors, key=lambda monitor: not monitor.primary)
    return [
        Display(
            id=number,
            x=monitor.x,
            y=monitor.y,
            width=monitor.width_in_pixels,
            height=monitor.height_in_pixels,
            is_active=True,
        )
        for number, monitor in enumerate(monitors)
    ]


class _Reader:
    """A reader of windows' properties; any window may have been closed by then."""

    def __init__(self, display: XDisplay) -> None:
        self._display = display
        self._root = display.screen().root
        active = self.numbers(self._root, "_NET_ACTIVE_WINDOW") if self.manager() else []
        self._active = next(iter(active), 0)
        self._focused = self._with_keyboard()
        self._hidden = display.intern_atom("_NET_WM_STATE_HIDDEN")

    def manager(self) -> list[int]:
        """Return the window that identifies the window manager (EWMH); empty without one.

        A window manager that was killed leaves the number behind, but not the window.
        """
        from Xlib.error import XError

        name = "_NET_SUPPORTING_WM_CHECK"
        found = self.numbers(self._root, name)[:1]
        try:
            windows = [self._display.create_resource_object("window", number) for number in found]
            return [window.id for window in windows if self.numbers(window, name)[:1] == found]
        except XError:
            return []

    def clients(self) -> list[int]:
        """Return the programs' windows; without a window manager the visible ones."""
        if self.manager():
            return self.numbers(self._root, "_NET_CLIENT_LIST")
        return [child.id for child in self._root.query_tree().children if self._shown(child)]

    def window(self, number: int) -> Window | None:
        """Return the properties of a window; None if it was closed."""
        from Xlib.error import XError

        window = self._display.create_resource_object("window", number)
        try:
            size = window.get_geometry()
            origin = self._root.translate_coords(window, 0, 0)
            desktop = next(iter(self.numbers(window, "_NET_WM_DESKTOP")), ALL_DESKTOPS)
            return Window(
                id=number,
                title=self._text(window, "_NET_WM_NAME") or self._text(window, "WM_NAME"),
                x=origin.x,
                y=origin.y,
                width=size.width,
                height=size.height,
                # 0 stands for a window manager that doesn't set the active window.
                is_active=number in self._focused and self._active in (number, 0),
                pid=next(iter(self.numbers(window, "_NET_WM_PID")), 0),
                # Instance and class, each with a final NUL (ICCCM, section 4.1.2.5).
                class_name=self._text(window, "WM_CLASS").rstrip("\0").rpartition("\0")[2],
                minimized=self._hidden in self.numbers(window, "_NET_WM_STATE"),
                desktop=-1 if desktop == ALL_DESKTOPS else desktop,
            )
        except XError:
            return None

    def _with_keyboard(self) -> set[int]:
        """Return the window with the keyboard focus, and those that contain it.

        The active window, as window managers report it, may be a closed one of the same number.
        """
        from Xlib.error import XError

        found: set[int] = set()
        window: Any = self._display.get_input_focus().focus
        try:
            # A plain number stands for no window, or for the one under the pointer.
            while not isinstance(window, int) and window.id != self._root.id:
                found.add(window.id)
                window = window.query_tree().parent
        except XError:
            pass  # It was closed.
        return found

    def numbers(self, window: Any, name: str) -> list[int]:
        """Return a property of 32-bit numbers; empty if it isn't set."""
        found = self._property(window, name)
        return list(found.value) if found is not None and found.format == 32 else []

    def _text(self, window: Any, name: str) -> str:
        found = self._property(window, name)
        if found is None or found.format != 8:
            return ""
        data = found.value if isinstance(found.value, bytes) else bytes(found.value)
        kind = self._display.get_atom_name(found.property_type)
        return _decode(data, kind)

    def _property(self, window: Any, name: str) -> Any:
        atom = self._display.intern_atom(name)
        return window.get_full_property(atom, ANY_TYPE, LONGEST)

    def _shown(self, window: Any) -> bool:
        from Xlib.error import XError

        try:
            attributes = window.get_attributes()
        except XError:
            return False
        return bool(attributes.map_state and attributes.win_class == 1)


def _decode(data: bytes, kind: str) -> str:
    if kind == "COMPOUND_TEXT":
        return _compound_text(data)
    # The type STRING is Latin-1 (ICCCM, section 2.7.1).
    return data.decode("utf-8" if kind == "UTF8_STRING" else "latin-1", "replace")


def _compound_text(data: bytes) -> str:
    """Decode the ICCCM's old text encoding, as far as it is Latin-1 or marked as UTF-8."""
    parts = []
    for number, part in enumerate(data.split(b"\x1b%G")):
        # "ESC % G" begins UTF-8, "ESC % @" ends it.
        encoded, _, rest = part.partition(b"\x1b%@") if number else (b"", b"", part)
        parts += [encoded.decode("utf-8", "replace"), rest.decode("latin-1")]
    return "".join(parts)
