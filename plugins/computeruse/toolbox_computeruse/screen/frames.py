"""The screen as it changes, for viewers that follow it.

The X server reports changes (DAMAGE and XFixes extensions), so that an unchanged screen is neither
read nor sent, and viewers of the same picture share one image.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from toolbox_computeruse.connection import XConnection
from toolbox_computeruse.errors import InputBusy
from toolbox_computeruse.models import Position
from toolbox_computeruse.pointer import pointer_position
from toolbox_computeruse.screen import cursor
from toolbox_computeruse.screen.models import Frame
from toolbox_computeruse.screen.models import View
from toolbox_computeruse.screen.screen import encode
from toolbox_computeruse.screen.screen import grab

if TYPE_CHECKING:
    from Xlib.display import Display

INTERVAL = 0.06
"""Seconds between two looks for changes, and thus the least between two images."""
WAITING = 32
"""Viewers that may wait for a change at once, each of which takes a thread of the service."""
VIEWS = 8
"""Images of the current screen that are kept."""
BUSY = 10.0
"""Maximum seconds to wait for other viewers' images."""
NON_EMPTY = 3
"""DamageReportNonEmpty of the DAMAGE extension: one event until the damage is subtracted."""
CURSOR_SHAPE = 1
"""DisplayCursorNotifyMask of the XFixes extension."""


class XFrames:
    """An implementation of :class:`toolbox_computeruse.backend.Frames` for X11."""

    def __init__(self, connection: XConnection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._name = secrets.token_urlsafe(8)
        """In each tag, since another service counts from zero as well."""
        self._version = 0
        self._pointer_version = 0
        """Counts changes of the pointer alone, which some views don't show."""
        self._looked = 0.0
        self._opened = 0
        """The connection on which changes are reported, by :attr:`XConnection.opened`."""
        self._damage: int | None = None
        self._pointer = Position(0, 0)
        self._frames: dict[str, Frame] = {}
        """Images of the current version, by their tags."""
        self._places = threading.BoundedSemaphore(WAITING)

    def frame(
        self, view: View, known: str, wait: float, canceled: Callable[[], bool]
    ) -> Frame | None:
        """Return the screen, or None if it is still that of the tag ``known`` after ``wait`` s.

        Doesn't wait if too many others do.
        """
        frame = self._current(view, known)
        if frame is not None or not wait or not self._places.acquire(blocking=False):
            return frame
        try:
            deadline = time.monotonic() + wait
            while frame is None and time.monotonic() < deadline and not canceled():
                time.sleep(INTERVAL)
                frame = self._current(view, known)
            return frame
        finally:
            self._places.release()

    def _current(self, view: View, known: str) -> Frame | None:
        if not self._lock.acquire(timeout=BUSY):
            raise InputBusy(f"the display stayed busy for {BUSY:g} s", {"Retry-After": "1"})
        try:
            if time.monotonic() - self._looked >= INTERVAL:
                self._look()
            pointer = self._pointer_version if view.cursor else "none"
            tag = f"{self._name}-{self._version}-{pointer}-{view.name}"
            if tag == known:
                return None
            if tag not in self._frames:
                if len(self._frames) == VIEWS:
                    self._frames.clear()
                self._frames[tag] = self._capture(view, tag)
                # Those who have waited for this get it, and not each a later one of its own.
                self._looked = time.monotonic()
            return self._frames[tag]
        finally:
            self._lock.release()

    def _look(self) -> None:
        with self._connection.use() as display:
            pointer = pointer_position(display)
            changes = self._changes(display)
        self._looked = time.monotonic()
        if changes["screen"]:
            self._version += 1
            self._frames.clear()
        if changes["pointer"] or pointer != self._pointer:
            self._pointer_version += 1
        self._pointer = pointer

    def _changes(self, display: Display) -> dict[str, bool]:
        """Report whether the screen and the pointer's shape have changed since the last call."""
        if self._opened != self._connection.opened:
            self._damage, self._opened = _subscribe(display), self._connection.opened
            return {"screen": True, "pointer": True}
        kinds = set()
        while display.pending_events():
            kinds.add(display.next_event().type)
        if self._damage is None:
            return {"screen": True, "pointer": True}
        is_damaged = display.extension_event.DamageNotify in kinds
        if is_damaged:
            # Before the screen is read: a later change is reported again.
            display.damage_subtract(self._damage)
            display.sync()
        return {"screen": is_damaged, "pointer": bool(kinds)}

    def _capture(self, view: View, tag: str) -> Frame:
        with self._connection.use() as display:
            image, origin = grab(display, None)
            shape = cursor.read(display) if view.cursor else None
        size = image.size
        if shape is not None:
            cursor.draw(image, shape, origin)
        content, _ = encode(image, view.format, view.quality, view.scale)
        return Frame(
            content=bytes(content), kind=view.format, tag=tag, width=size[0], height=size[1]
        )


def _subscribe(display: Display) -> int | None:
    """Have changes of the screen reported; return the DAMAGE object, None without the extension."""
    root = display.screen().root
    if display.has_extension("XFIXES"):
        display.xfixes_query_version()
        display.xfixes_select_cursor_input(root, CURSOR_SHAPE)
    if not display.has_extension("DAMAGE"):
        return None
    display.damage_query_version()
    damage: int = root.damage_create(NON_EMPTY)
    return damage
