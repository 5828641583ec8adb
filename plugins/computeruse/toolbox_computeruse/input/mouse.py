"""The pointer: move, click, drag, scroll."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from toolbox_computeruse.input.pacing import IsCanceled
from toolbox_computeruse.models import Position

BUTTONS = {"left": 1, "middle": 2, "right": 3}
WHEEL = {"up": 4, "down": 5, "left": 6, "right": 7}
"""The wheel's directions: a notch is a click of one of these buttons."""

ARRIVE = 0.03
"""Seconds for programs to notice that the pointer is over them."""
HOLD = 0.01
"""Seconds a button is held in a click."""
BETWEEN_CLICKS = 0.06
"""Seconds between the clicks of a double click, for which toolkits allow 250 ms or more."""
GRIP = 0.08
"""Seconds from the press to the first move of a drag, and from its last to the release."""
STEPS = 20
"""Moves of a drag."""
STEP = 0.01
"""Seconds between two moves of a drag."""
NOTCHES = 10
"""Notches of the wheel between checks for cancellation."""


class Gesture(Protocol):
    """One gesture in progress. Buttons are given by their X numbers."""

    def wait(self, seconds: float) -> None:
        """Wait. Raises GestureCanceled."""

    def move(self, x: int, y: int) -> None:
        """Move the pointer, at most to the edge of the screen."""

    def position(self) -> Position:
        """Return the pointer's position."""

    def press_button(self, button: int) -> None:
        """Press a button and hold it."""

    def release_button(self, button: int) -> None:
        """Release a button."""

    def holding(self, modifiers: Sequence[str]) -> AbstractContextManager[None]:
        """Hold modifiers during the block."""


class InputDevice(Protocol):
    """A device that performs one gesture at a time."""

    def gesture(self, canceled: IsCanceled) -> AbstractContextManager[Gesture]:
        """Start a gesture, which ends with the block."""


class GestureMouse:
    """An implementation of :class:`toolbox_computeruse.backend.Mouse` for an input device."""

    def __init__(self, device: InputDevice) -> None:
        self._device = device

    def position(self) -> Position:
        with self._device.gesture(_never) as gesture:
            return gesture.position()

    def move(self, x: int, y: int) -> Position:
        with self._device.gesture(_never) as gesture:
            gesture.move(x, y)
            return gesture.position()

    def click(
        self, x: int, y: int, button: str, clicks: int, modifiers: tuple[str, ...]
    ) -> Position:
        with self._gesture_at(Position(x, y), modifiers) as gesture:
            for number in range(clicks):
                if number:
                    gesture.wait(BETWEEN_CLICKS)
                _click(gesture, BUTTONS[button], HOLD)
            return gesture.position()

    def drag(
        self,
        start: Position,
        end: Position,
        button: str,
        modifiers: tuple[str, ...],
        canceled: IsCanceled,
    ) -> Position:
        with self._gesture_at(start, modifiers, canceled) as gesture:
            gesture.press_button(BUTTONS[button])
            gesture.wait(GRIP)
            # In small steps: toolkits begin a drag only after some motion with the button held.
            for step in range(1, STEPS + 1):
                x = start.x + (end.x - start.x) * step // STEPS
                y = start.y + (end.y - start.y) * step // STEPS
                gesture.move(x, y)
                gesture.wait(STEP)
            gesture.wait(GRIP)
            gesture.release_button(BUTTONS[button])
            return gesture.position()

    def scroll(
        self,
        position: Position,
        direction: str,
        amount: int,
        modifiers: tuple[str, ...],
        canceled: IsCanceled,
    ) -> None:
        with self._gesture_at(position, modifiers, canceled) as gesture:
            for number in range(amount):
                _click(gesture, WHEEL[direction], 0)
                if not number % NOTCHES:
                    gesture.wait(0)

    def down(self, position: Position | None, button: str) -> Position:
        with self._gesture_at(position) as gesture:
            gesture.press_button(BUTTONS[button])
            return gesture.position()

    def up(self, position: Position | None, button: str) -> Position:
        with self._gesture_at(position) as gesture:
            gesture.release_button(BUTTONS[button])
            return gesture.position()

    @contextlib.contextmanager
    def _gesture_at(
        self,
        position: Position | None,
        modifiers: tuple[str, ...] = (),
        canceled: IsCanceled | None = None,
    ) -> Iterator[Gesture]:
        """Start a gesture at ``position``; None leaves the pointer where it is."""
        with self._device.gesture(canceled or _never) as gesture, gesture.holding(modifiers):
            if position is not None:
                gesture.move(position.x, position.y)
                gesture.wait(ARRIVE)
            yield gesture


def _never() -> bool:
    return False


def _click(gesture: Gesture, button: int, hold: float) -> None:
    gesture.press_button(button)
    if hold:
        gesture.wait(hold)
    gesture.release_button(button)
