"""Input by the XTEST extension: one gesture at a time, and nothing stays pressed at the end.

Keys and buttons pressed through XTEST stay down when the client that pressed them is gone (and
the server repeats such a key for ever), so what is held is written down here and released.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolbox_computeruse import keysyms
from toolbox_computeruse.connection import XConnection
from toolbox_computeruse.errors import ComputerUseUnavailable
from toolbox_computeruse.errors import DisplayUnavailable
from toolbox_computeruse.errors import InputBusy
from toolbox_computeruse.keymap import Key
from toolbox_computeruse.keymap import KeyMap
from toolbox_computeruse.models import Position
from toolbox_computeruse.pacing import Cancelled
from toolbox_computeruse.pacing import Pacing

if TYPE_CHECKING:
    from Xlib.display import Display

KEY_PRESS = 2
KEY_RELEASE = 3
BUTTON_PRESS = 4
BUTTON_RELEASE = 5
MOTION = 6
MAPPING_NOTIFY = 34


class Gesture(Pacing):
    """What can be done to keyboard and pointer while a gesture is made."""

    def __init__(
        self, display: Display, keymap: KeyMap, held: list[int], buttons: list[int], over: Cancelled
    ) -> None:
        super().__init__(over)
        self.display = display
        self.keymap = keymap
        self.held = held
        """Keycodes that are down, in the order they were pressed."""
        self.buttons = buttons
        self._root = display.screen().root

    def wait(self, seconds: float) -> None:
        """Send what was done, and wait. Raises GestureCancelled."""
        self.display.sync()
        super().wait(seconds)

    def locate(self, name: str) -> Key:
        """The key of a name or character, and whether it needs Shift; a spare one if need be."""
        keysym = keysyms.of_name(name)
        self.keymap.ensure([keysym], self.held)
        key = self.keymap.find(keysym)
        if key is None:
            raise ComputerUseUnavailable(f"no key gives {name!r}, and none is spare")
        return key

    @contextlib.contextmanager
    def holding(self, modifiers: Sequence[str]) -> Iterator[None]:
        """Hold modifiers, but for those that are held already, and let them go in any case."""
        codes = [self.locate(name)[0] for name in modifiers]
        pressed = [code for code in codes if code not in self.held]
        for code in pressed:
            self.press(code)
        try:
            yield
        finally:
            for code in reversed(pressed):
                self.release(code)

    def tap(self, code: int, *, shift: int = 0) -> None:
        """Press and release a key that isn't held, with the key ``shift`` unless that is 0."""
        if shift:
            self._fake(KEY_PRESS, shift)
        self._fake(KEY_PRESS, code)
        self._fake(KEY_RELEASE, code)
        if shift:
            self._fake(KEY_RELEASE, shift)

    def press(self, code: int) -> None:
        """Hold a key."""
        if code not in self.held:
            self.held.append(code)
            self._fake(KEY_PRESS, code)

    def release(self, code: int) -> None:
        """Let a key go."""
        if code in self.held:
            self.held.remove(code)
        self._fake(KEY_RELEASE, code)

    def press_button(self, button: int) -> None:
        """Hold a button, by its X number."""
        if button not in self.buttons:
            self.buttons.append(button)
        self._fake(BUTTON_PRESS, button)

    def release_button(self, button: int) -> None:
        """Let a button go."""
        if button in self.buttons:
            self.buttons.remove(button)
        self._fake(BUTTON_RELEASE, button)

    def move(self, x: int, y: int) -> None:
        """Move the pointer, at most to the edge of the screen."""
        size = self._root.get_geometry()
        x = min(max(x, 0), size.width - 1)
        y = min(max(y, 0), size.height - 1)
        self.display.xtest_fake_input(MOTION, 0, x=x, y=y)

    def position(self) -> Position:
        """Where the pointer is."""
        return pointer_position(self.display)

    def state(self) -> tuple[int, int]:
        """The modifiers that are in effect, as X's mask, and the keyboard layout (XKB group)."""
        mask = self._root.query_pointer().mask
        return mask & 0xFF, mask >> 13 & 3

    def release_all(self) -> None:
        """Let everything go that is held."""
        for button in reversed(self.buttons[:]):
            self.release_button(button)
        for code in reversed(self.held[:]):
            self.release(code)
        self.display.sync()

    def _fake(self, kind: int, detail: int) -> None:
        self.display.xtest_fake_input(kind, detail)


def pointer_position(display: Display) -> Position:
    """Where the pointer is."""
    found = display.screen().root.query_pointer()
    return Position(found.root_x, found.root_y)


class Hands:
    """Keyboard and pointer of a display, for one gesture at a time."""

    def __init__(self, connection: XConnection, gesture_timeout: float) -> None:
        self._connection = connection
        self._timeout = gesture_timeout
        self._generation = 0
        self._opened = 0
        self._keymap: KeyMap | None = None
        self._held: list[int] = []
        self._buttons: list[int] = []

    @contextlib.contextmanager
    def gesture(self, cancelled: Cancelled, limit: float | None = None) -> Iterator[Gesture]:
        """Do something, and be the only one meanwhile, for up to ``limit`` seconds.

        If it fails half way, what it pressed is released.
        """
        generation = self._generation
        over_at = time.monotonic() + self._timeout

        def over() -> bool:
            late = time.monotonic() > over_at
            return late or generation != self._generation or cancelled()

        with self._connection.use(wait=self._timeout, limit=limit) as display:
            gesture = Gesture(display, self._known(display), self._held, self._buttons, over)
            before = self._held[:], self._buttons[:]
            try:
                gesture.check()
                yield gesture
                display.sync()
            except Exception:
                _undo(gesture, *before)
                raise

    def _known(self, display: Display) -> KeyMap:
        """The keyboard map, read again if it may have changed."""
        if self._keymap is None or self._opened != self._connection.opened:
            if not display.has_extension("XTEST"):
                raise ComputerUseUnavailable("the X server lacks the extension XTEST")
            self._opened = self._connection.opened
            self._held.clear()
            self._buttons.clear()
            self._keymap = KeyMap(display)
        changed = False
        while display.pending_events():
            changed |= display.next_event().type == MAPPING_NOTIFY
        layout = display.screen().root.query_pointer().mask >> 13 & 3
        if changed or layout != self._keymap.layout:
            self._keymap.load(layout)
        return self._keymap

    def release_all(self) -> None:
        """End the gesture that is being made, and let everything go that is held."""
        self._generation += 1
        if not self._opened:
            return
        # A server that is gone holds nothing.
        gone = (DisplayUnavailable, ComputerUseUnavailable, InputBusy)
        with contextlib.suppress(*gone), self.gesture(lambda: False) as own:
            own.release_all()


def _undo(gesture: Gesture, held: list[int], buttons: list[int]) -> None:
    """Release what wasn't held before."""
    from Xlib.error import ConnectionClosedError

    with contextlib.suppress(ConnectionClosedError, OSError):
        for button in [each for each in gesture.buttons if each not in buttons]:
            gesture.release_button(button)
        for code in [each for each in reversed(gesture.held) if each not in held]:
            gesture.release(code)
        gesture.display.sync()
