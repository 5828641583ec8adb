"""The backend ``pynput``: as ``x11``, but keyboard and pointer are moved by the library pynput.

It is there for those who know pynput's behaviour and want just that. What it can't do:

* characters are sent to the window with the focus (XSendEvent), and programs may ignore what is
  sent like that: xterm does, so that neither text nor hotkeys with a character reach it;
* characters that are on no key are put on one, one at a time and without waiting for the program
  to notice, so that it may take one for another;
* there are no keys of the keypad, and none above F20;
* an X server that hangs is waited for without a limit.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from toolbox.lifecycle import Context
from toolbox.plugins import NoSettings
from toolbox.processes import changing_environment
from toolbox_computeruse.chords import Chord
from toolbox_computeruse.connection import server_answers
from toolbox_computeruse.errors import ComputerUseUnavailable
from toolbox_computeruse.errors import DisplayUnavailable
from toolbox_computeruse.errors import InputBusy
from toolbox_computeruse.errors import InvalidInput
from toolbox_computeruse.keyboard import HOLD
from toolbox_computeruse.models import Position
from toolbox_computeruse.mouse import BUTTONS
from toolbox_computeruse.mouse import WHEEL
from toolbox_computeruse.mouse import GestureMouse
from toolbox_computeruse.pacing import Cancelled
from toolbox_computeruse.pacing import Pacing
from toolbox_computeruse.settings import ComputerUseSettings
from toolbox_computeruse.settings import display_name
from toolbox_computeruse.x11 import X11ComputerUse

RENAMED = {
    **{"escape": "esc", "pagedown": "page_down", "pageup": "page_up", "capslock": "caps_lock"},
    **{f"{side}{name}": f"{name}_{side}" for side in "lr" for name in ("alt", "cmd", "ctrl")},
    **{"lshift": "shift_l", "rshift": "shift_r"},
}
"""Keys that pynput calls otherwise."""

_BUTTON_NAMES = {number: name for name, number in BUTTONS.items()} | {
    number: f"scroll_{name}" for name, number in WHEEL.items()
}


class PynputComputerUse(X11ComputerUse):
    """See :class:`toolbox_computeruse.backend.ComputerUseBackend`."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        super().__init__(settings, context)
        options: ComputerUseSettings = context.options
        self._devices = PynputHands(
            display_name(options), self.displays.size, options.gesture_timeout
        )
        self.mouse = GestureMouse(self._devices)
        self.keyboard = PynputKeyboard(self._devices)

    def _let_go(self) -> None:
        self._devices.release_all()
        super()._let_go()


class PynputGesture(Pacing):
    """What can be done to keyboard and pointer while a gesture is made."""

    def __init__(self, keyboard: Any, mouse: Any, size: tuple[int, int], over: Cancelled) -> None:
        super().__init__(over)
        self._keyboard = keyboard
        self._mouse = mouse
        self._size = size
        self.held: list[Any] = []
        self.buttons: list[Any] = []

    def move(self, x: int, y: int) -> None:
        """Move the pointer, at most to the edge of the screen."""
        width, height = self._size
        self._mouse.position = (min(max(x, 0), width - 1), min(max(y, 0), height - 1))

    def position(self) -> Position:
        """Where the pointer is."""
        return Position(*self._mouse.position)

    def press_button(self, button: int) -> None:
        """Hold a button, by its X number."""
        name = _button(button)
        if name not in self.buttons:
            self.buttons.append(name)
        self._mouse.press(name)

    def release_button(self, button: int) -> None:
        """Let a button go."""
        name = _button(button)
        if name in self.buttons:
            self.buttons.remove(name)
        self._mouse.release(name)

    def press(self, name: str) -> None:
        """Hold a key. Raises InvalidInput."""
        key = _key(name)
        if key not in self.held:
            self.held.append(key)
            self._touch(self._keyboard.press, key)

    def release(self, name: str) -> None:
        """Let a key go. Raises InvalidInput."""
        key = _key(name)
        if key in self.held:
            self.held.remove(key)
        self._touch(self._keyboard.release, key)

    def tap(self, name: str) -> None:
        """Press and release a key or character. Raises InvalidInput."""
        key = _key(name)
        self._touch(self._keyboard.press, key)
        self._touch(self._keyboard.release, key)

    @contextlib.contextmanager
    def holding(self, modifiers: Sequence[str]) -> Iterator[None]:
        """Hold modifiers, but for those that are held already, and let them go in any case."""
        pressed = [name for name in modifiers if _key(name) not in self.held]
        for name in pressed:
            self.press(name)
        try:
            yield
        finally:
            for name in reversed(pressed):
                self.release(name)

    def release_all(self, keys: Sequence[Any] = (), buttons: Sequence[Any] = ()) -> None:
        """Let everything go that is held, but for what is named."""
        for button in [each for each in self.buttons if each not in buttons]:
            self.buttons.remove(button)
            self._mouse.release(button)
        for key in [each for each in reversed(self.held) if each not in keys]:
            self.held.remove(key)
            self._keyboard.release(key)

    def _touch(self, action: Callable[[Any], None], key: Any) -> None:
        try:
            action(key)
        except (self._keyboard.InvalidKeyException, ValueError):
            raise InvalidInput(f"pynput can't press {key!r}") from None


class PynputHands:
    """pynput's controllers, for one gesture at a time."""

    def __init__(
        self, display: str, size: Callable[[], tuple[int, int]], gesture_timeout: float
    ) -> None:
        self._display = display
        self._size = size
        self._timeout = gesture_timeout
        self._lock = threading.Lock()
        self._generation = 0
        self._held: list[Any] = []
        self._buttons: list[Any] = []

    @contextlib.contextmanager
    def gesture(self, cancelled: Cancelled) -> Iterator[PynputGesture]:
        """Do something, and be the only one meanwhile. If it fails, what it pressed is released.

        Raises InputBusy, DisplayUnavailable, and ComputerUseUnavailable without pynput.
        """
        generation, over_at = self._generation, time.monotonic() + self._timeout

        def over() -> bool:
            late = time.monotonic() > over_at
            return late or generation != self._generation or cancelled()

        if not self._lock.acquire(timeout=self._timeout):
            raise InputBusy(f"the display was busy for {self._timeout:g} s", {"Retry-After": "1"})
        try:
            size = self._size()  # Raises DisplayUnavailable before pynput prints its dismay.
            with self._unbroken():
                gesture = PynputGesture(*self._controllers(), size, over)
                gesture.held, gesture.buttons = self._held, self._buttons
                keys, buttons = self._held[:], self._buttons[:]
                try:
                    gesture.check()
                    yield gesture
                except Exception:
                    gesture.release_all(keys, buttons)
                    raise
        finally:
            self._lock.release()

    def release_all(self) -> None:
        """End the gesture that is being made, and let everything go that is held."""
        self._generation += 1
        if self._held or self._buttons:
            # A server that is gone holds nothing.
            with (
                contextlib.suppress(DisplayUnavailable, ComputerUseUnavailable, InputBusy),
                self.gesture(lambda: False) as own,
            ):
                own.release_all()

    @contextlib.contextmanager
    def _unbroken(self) -> Iterator[None]:
        from Xlib.error import ConnectionClosedError
        from Xlib.error import DisplayError

        try:
            yield
        except (ConnectionClosedError, DisplayError, OSError) as error:
            # The next server holds nothing.
            self._held.clear()
            self._buttons.clear()
            reason = "went away" if not server_answers(self._display) else str(error)
            raise DisplayUnavailable(f"the X server on {self._display}: {reason}") from error

    def _controllers(self) -> tuple[Any, Any]:
        """Keyboard and mouse, on connections of their own: an old one may be broken."""
        with changing_environment() as environ:
            before = environ.get("DISPLAY")
            environ["DISPLAY"] = self._display  # There is no other way to tell it.
            try:
                from pynput import keyboard  # type: ignore[import-untyped]
                from pynput import mouse

                return keyboard.Controller(), mouse.Controller()
            except ImportError as missing:
                raise ComputerUseUnavailable(
                    f"pynput is not installed, or doesn't work: {missing}"
                ) from None
            finally:
                if before is None:
                    del environ["DISPLAY"]
                else:
                    environ["DISPLAY"] = before


class PynputKeyboard:
    """See :class:`toolbox_computeruse.backend.Keyboard`."""

    def __init__(self, hands: PynputHands) -> None:
        self._hands = hands

    def type(self, text: str, delay: float, cancelled: Cancelled) -> None:
        if not text:
            return
        with self._hands.gesture(cancelled) as gesture:
            for char in text:
                gesture.tap("enter" if char == "\n" else char)
                gesture.wait(delay)

    def press(self, chord: Chord) -> None:
        with self._hands.gesture(lambda: False) as gesture, gesture.holding(chord.modifiers):
            gesture.press(chord.key)
            gesture.wait(HOLD)
            gesture.release(chord.key)

    def down(self, key: str) -> None:
        with self._hands.gesture(lambda: False) as gesture:
            gesture.press(key)

    def up(self, key: str) -> None:
        with self._hands.gesture(lambda: False) as gesture:
            gesture.release(key)


def _button(number: int) -> Any:
    from pynput.mouse import Button  # type: ignore[import-untyped]

    return Button[_BUTTON_NAMES[number]]


def _key(name: str) -> Any:
    """A key as pynput knows it; characters are themselves. Raises InvalidInput."""
    from pynput.keyboard import Key  # type: ignore[import-untyped]

    if len(name) == 1:
        return name
    try:
        return Key[RENAMED.get(name, name)]
    except KeyError:
        raise InvalidInput(f"pynput has no key {name!r}") from None
