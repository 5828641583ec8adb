"""Input through the XTEST extension: one gesture at a time, and nothing stays pressed at its end.

Keys and buttons pressed through XTEST stay down when the client that pressed them disconnects (and
the server repeats such a key forever), so they are recorded here and released.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolbox.linux.clock import awake
from toolbox_computeruse.connection import XConnection
from toolbox_computeruse.errors import ComputerUseUnavailable
from toolbox_computeruse.errors import DisplayUnavailable
from toolbox_computeruse.errors import InputBusy
from toolbox_computeruse.input import keysyms
from toolbox_computeruse.input.keymap import Key
from toolbox_computeruse.input.keymap import KeyMap
from toolbox_computeruse.input.pacing import IsCanceled
from toolbox_computeruse.input.pacing import Pacing
from toolbox_computeruse.models import Position
from toolbox_computeruse.pointer import modifiers_and_layout
from toolbox_computeruse.pointer import pointer_position

if TYPE_CHECKING:
    from Xlib.display import Display

KEY_PRESS = 2
KEY_RELEASE = 3
BUTTON_PRESS = 4
BUTTON_RELEASE = 5
MOTION = 6
MAPPING_NOTIFY = 34


class Gesture(Pacing):
    """One gesture in progress."""

    def __init__(
        self,
        display: Display,
        keymap: KeyMap,
        held: list[int],
        buttons: list[int],
        over: IsCanceled,
    ) -> None:
        super().__init__(over)
        self.display = display
        self.keymap = keymap
        self.held = held
        """Keycodes that are held, in the order in which they were pressed."""
        self.buttons = buttons
        self._root = display.screen().root

    def wait(self, seconds: float) -> None:
        """Send all events so far, and wait. Raises GestureCanceled."""
        self.display.sync()
        super().wait(seconds)

    def locate(self, name: str) -> Key:
        """Return the key for a name or character, mapping a spare one if necessary."""
        keysym = keysyms.of_name(name)
        self.keymap.ensure([keysym], self.held)
        key = self.keymap.find(keysym)
        if key is None:
            raise ComputerUseUnavailable(f"no key produces {name!r}, and none is spare")
        return key

    @contextlib.contextmanager
    def holding(self, modifiers: Sequence[str]) -> Iterator[None]:
        """Hold modifiers during the block, except those that are already held."""
        # All are located before one is pressed, since that may change the keyboard map.
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
        """Press and release a key that isn't held, with the keycode ``shift`` unless that is 0."""
        # Not recorded as held: nothing can fail between press and release.
        if shift:
            self._fake(KEY_PRESS, shift)
        self._fake(KEY_PRESS, code)
        self._fake(KEY_RELEASE, code)
        if shift:
            self._fake(KEY_RELEASE, shift)

    def press(self, code: int) -> None:
        """Press and hold a key."""
        if code not in self.held:
            self.held.append(code)
            self._fake(KEY_PRESS, code)

    def release(self, code: int) -> None:
        """Release a key."""
        # Sent even if it isn't recorded as held: another program may have pressed it.
        if code in self.held:
            self.held.remove(code)
        self._fake(KEY_RELEASE, code)

    def press_button(self, button: int) -> None:
        """Press and hold a button, given by its X number."""
        if button not in self.buttons:
            self.buttons.append(button)
        self._fake(BUTTON_PRESS, button)

    def release_button(self, button: int) -> None:
        """Release a button."""
        if button in self.buttons:
            self.buttons.remove(button)
        self._fake(BUTTON_RELEASE, button)

    def move(self, x: int, y: int) -> None:
        """Move the pointer, at most to the edge of the screen."""
        # Asked each time, because RANDR can change the size.
        size = self._root.get_geometry()
        x = min(max(x, 0), size.width - 1)
        y = min(max(y, 0), size.height - 1)
        self.display.xtest_fake_input(MOTION, 0, x=x, y=y)

    def position(self) -> Position:
        """Return the pointer's position."""
        return pointer_position(self.display)

    def state(self) -> tuple[int, int]:
        """Return the modifiers in effect, as X's mask, and the keyboard layout (XKB group)."""
        return modifiers_and_layout(self.display)

    def release_all(self) -> None:
        """Release everything that is held."""
        for button in reversed(self.buttons[:]):
            self.release_button(button)
        for code in reversed(self.held[:]):
            self.release(code)
        self.display.sync()

    def _fake(self, kind: int, detail: int) -> None:
        self.display.xtest_fake_input(kind, detail)


class XInputDevice:
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
    def gesture(self, canceled: IsCanceled, limit: float | None = None) -> Iterator[Gesture]:
        """Start a gesture, which excludes others, for up to ``limit`` seconds.

        If the block fails, what it pressed is released.
        """
        generation, deadline = self._generation, awake() + self._timeout

        def over() -> bool:
            return awake() > deadline or generation != self._generation or canceled()

        with self._connection.use(wait=self._timeout, limit=limit) as display:
            gesture = Gesture(display, self._known(display), self._held, self._buttons, over)
            held, buttons = self._held[:], self._buttons[:]
            try:
                gesture.check()
                yield gesture
                display.sync()
            except Exception:
                _undo(gesture, held, buttons)
                raise

    def _known(self, display: Display) -> KeyMap:
        """Return the keyboard map, read again if it may have changed."""
        if self._keymap is None or self._opened != self._connection.opened:
            if not display.has_extension("XTEST"):
                raise ComputerUseUnavailable("the X server lacks the extension XTEST")
            # A new connection may lead to a new server, which starts with nothing held.
            self._opened = self._connection.opened
            self._held.clear()
            self._buttons.clear()
            self._keymap = KeyMap(display)
        # The server reports changes of the map to all clients, including our own.
        changed = False
        while display.pending_events():
            changed |= display.next_event().type == MAPPING_NOTIFY
        _, layout = modifiers_and_layout(display)
        if changed or layout != self._keymap.layout:
            self._keymap.load(layout)
        return self._keymap

    def release_all(self) -> None:
        """End the gesture in progress, and release everything that is held."""
        # A gesture of an older generation is over: it raises at its next check.
        self._generation += 1
        if not self._opened:
            return
        # A server that has ended holds nothing.
        gone = (DisplayUnavailable, ComputerUseUnavailable, InputBusy)
        with contextlib.suppress(*gone), self.gesture(lambda: False) as own:
            own.release_all()


def _undo(gesture: Gesture, held: list[int], buttons: list[int]) -> None:
    """Release everything that wasn't held before the gesture."""
    from Xlib.error import ConnectionClosedError

    with contextlib.suppress(ConnectionClosedError, OSError):
        for button in [button for button in gesture.buttons if button not in buttons]:
            gesture.release_button(button)
        for code in [code for code in reversed(gesture.held) if code not in held]:
            gesture.release(code)
        gesture.display.sync()
