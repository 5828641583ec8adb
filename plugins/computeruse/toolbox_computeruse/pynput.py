"""The backend ``pynput``: as ``x11``, but keyboard and pointer use the library pynput.

It serves those who rely on pynput's behavior. Its limitations:

* characters are sent to the focused window as synthetic events (XSendEvent), which programs may
  ignore: xterm does, so neither text nor hotkeys with a character reach it;
* characters that no key produces are mapped to one, one at a time and without waiting for the
  program to notice, so it may take one for another;
* there are no keypad keys, and none above F20;
* it waits without a limit for an X server that hangs.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from toolbox.lifecycle import Context
from toolbox.linux.clock import awake
from toolbox.plugins import NoSettings
from toolbox.processes import changing_environment
from toolbox_computeruse.connection import server_responds
from toolbox_computeruse.errors import ComputerUseUnavailable
from toolbox_computeruse.errors import DisplayUnavailable
from toolbox_computeruse.errors import InputBusy
from toolbox_computeruse.errors import InvalidInput
from toolbox_computeruse.input.chords import Chord
from toolbox_computeruse.input.keyboard import HOLD
from toolbox_computeruse.input.mouse import BUTTONS
from toolbox_computeruse.input.mouse import WHEEL
from toolbox_computeruse.input.mouse import GestureMouse
from toolbox_computeruse.input.pacing import IsCanceled
from toolbox_computeruse.input.pacing import Pacing
from toolbox_computeruse.models import Position
from toolbox_computeruse.settings import ComputerUseSettings
from toolbox_computeruse.settings import display_name
from toolbox_computeruse.x11 import X11ComputerUse

RENAMED = {
    **{"escape": "esc", "pagedown": "page_down", "pageup": "page_up", "capslock": "caps_lock"},
    **{f"{side}{name}": f"{name}_{side}" for side in "lr" for name in ("alt", "cmd", "ctrl")},
    **{"lshift": "shift_l", "rshift": "shift_r"},
}
"""Keys for which pynput has other names."""

_BUTTON_NAMES = {number: name for name, number in BUTTONS.items()} | {
    number: f"scroll_{name}" for name, number in WHEEL.items()
}


class PynputComputerUse(X11ComputerUse):
    """An implementation of :class:`toolbox_computeruse.backend.ComputerUseBackend` on pynput."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        super().__init__(settings, context)
        options: ComputerUseSettings = context.group_settings
        self._pynput_device = PynputDevice(
            display_name(options), self.displays.size, options.gesture_timeout
        )
        self.mouse = GestureMouse(self._pynput_device)
        self.keyboard = PynputKeyboard(self._pynput_device)

    def _release_all(self) -> None:
        self._pynput_device.release_all()
        super()._release_all()


class PynputGesture(Pacing):
    """One gesture in progress, with pynput's controllers."""

    def __init__(self, keyboard: Any, mouse: Any, size: tuple[int, int], over: IsCanceled) -> None:
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
        """Return the pointer's position."""
        return Position(*self._mouse.position)

    def press_button(self, button: int) -> None:
        """Press and hold a button, given by its X number."""
        name = _button(button)
        if name not in self.buttons:
            self.buttons.append(name)
        self._mouse.press(name)

    def release_button(self, button: int) -> None:
        """Release a button."""
        name = _button(button)
        if name in self.buttons:
            self.buttons.remove(name)
        self._mouse.release(name)

    def press(self, name: str) -> None:
        """Press and hold a key. Raises InvalidInput."""
        key = _key(name)
        if key not in self.held:
            self.held.append(key)
            self._send(self._keyboard.press, key)

    def release(self, name: str) -> None:
        """Release a key. Raises InvalidInput."""
        key = _key(name)
        if key in self.held:
            self.held.remove(key)
        self._send(self._keyboard.release, key)

    def tap(self, name: str) -> None:
        """Press and release a key or character. Raises InvalidInput."""
        key = _key(name)
        self._send(self._keyboard.press, key)
        self._send(self._keyboard.release, key)

    @contextlib.contextmanager
    def holding(self, modifiers: Sequence[str]) -> Iterator[None]:
        """Hold modifiers during the block, except those that are already held."""
        pressed = [name for name in modifiers if _key(name) not in self.held]
        for name in pressed:
            self.press(name)
        try:
            yield
        finally:
            for name in reversed(pressed):
                self.release(name)

    def release_all(self, keys: Sequence[Any] = (), buttons: Sequence[Any] = ()) -> None:
        """Release everything that is held, except ``keys`` and ``buttons``."""
        for button in [held for held in self.buttons if held not in buttons]:
            self.buttons.remove(button)
            self._mouse.release(button)
        for key in [held for held in reversed(self.held) if held not in keys]:
            self.held.remove(key)
            self._keyboard.release(key)

    def _send(self, action: Callable[[Any], None], key: Any) -> None:
        try:
            action(key)
        except (self._keyboard.InvalidKeyException, ValueError):
            raise InvalidInput(f"pynput can't press {key!r}") from None


class PynputDevice:
    """Keyboard and pointer through pynput's controllers, for one gesture at a time."""

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
    def gesture(self, canceled: IsCanceled) -> Iterator[PynputGesture]:
        """Start a gesture, which excludes others. If the block fails, what it pressed is released.

        Raises InputBusy, DisplayUnavailable, and ComputerUseUnavailable without pynput.
        """
        generation, deadline = self._generation, awake() + self._timeout

        def over() -> bool:
            return awake() > deadline or generation != self._generation or canceled()

        if not self._lock.acquire(timeout=self._timeout):
            message = f"the display stayed busy for {self._timeout:g} s"
            raise InputBusy(message, {"Retry-After": "1"})
        try:
            # First, because it raises DisplayUnavailable, where pynput prints a traceback.
            size = self._size()
            # Everything below may end with the exceptions of python-xlib, which pynput uses.
            with self._unbroken():
                keyboard, mouse = self._controllers()
                gesture = PynputGesture(keyboard, mouse, size, over)
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
        """End the gesture in progress, and release everything that is held."""
        self._generation += 1
        if self._held or self._buttons:
            # A server that has ended holds nothing.
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
            # The next server starts with nothing held.
            self._held.clear()
            self._buttons.clear()
            reason = "disconnected" if not server_responds(self._display) else str(error)
            raise DisplayUnavailable(f"the X server on {self._display}: {reason}") from error

    def _controllers(self) -> tuple[Any, Any]:
        """Return keyboard and mouse on new connections: old ones may be broken."""
        with changing_environment() as environ:
            before = environ.get("DISPLAY")
            environ["DISPLAY"] = self._display  # pynput takes the display from nowhere else.
            try:
                from pynput import keyboard  # type: ignore[import-untyped]
                from pynput import mouse

                return keyboard.Controller(), mouse.Controller()
            except ImportError as missing:
                raise ComputerUseUnavailable(
                    f"pynput is not installed or doesn't work: {missing}"
                ) from None
            finally:
                if before is None:
                    del environ["DISPLAY"]
                else:
                    environ["DISPLAY"] = before


class PynputKeyboard:
    """An implementation of :class:`toolbox_computeruse.backend.Keyboard` on pynput."""

    def __init__(self, device: PynputDevice) -> None:
        self._input_device = device

    def type(self, text: str, delay: float, canceled: IsCanceled) -> None:
        if not text:
            return
        with self._input_device.gesture(canceled) as gesture:
            for char in text:
                gesture.tap("enter" if char == "\n" else char)
                gesture.wait(delay)

    def press(self, chord: Chord) -> None:
        with self._input_device.gesture(lambda: False) as gesture, gesture.holding(chord.modifiers):
            gesture.press(chord.key)
            gesture.wait(HOLD)
            gesture.release(chord.key)

    def down(self, key: str) -> None:
        with self._input_device.gesture(lambda: False) as gesture:
            gesture.press(key)

    def up(self, key: str) -> None:
        with self._input_device.gesture(lambda: False) as gesture:
            gesture.release(key)


def _button(number: int) -> Any:
    from pynput.mouse import Button  # type: ignore[import-untyped]

    return Button[_BUTTON_NAMES[number]]


def _key(name: str) -> Any:
    """Return a key for pynput; characters stand for themselves. Raises InvalidInput."""
    from pynput.keyboard import Key  # type: ignore[import-untyped]

    if len(name) == 1:
        return name
    try:
        return Key[RENAMED.get(name, name)]
    except KeyError:
        raise InvalidInput(f"pynput has no key {name!r}") from None
