"""The pointer: moving, clicking, dragging, scrolling."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from toolbox_computeruse.models import Position
from toolbox_computeruse.pacing import Cancelled

BUTTONS = {"left": 1, "middle": 2, "right": 3}
WHEEL = {"up": 4, "down": 5, "left": 6, "right": 7}
"""A notch of the wheel is a click of one of these buttons."""

ARRIVE = 0.03
"""Seconds programs get to see that the pointer is over them."""
HOLD = 0.01
"""Seconds a button is held in a click."""
BETWEEN_CLICKS = 0.06
"""Seconds between the clicks of one; toolkits take those within 250 ms or more to be one."""
GRIP = 0.08
"""Seconds from the press to the first move of a drag, and from its last to the release."""
STEPS = 20
STEP = 0.01
NOTCHES = 10
"""Notches of the wheel between looks at whether anybody still wants them."""


class Gesture(Protocol):
    """What the pointer is moved by. Buttons go by their X numbers."""

    def wait(self, seconds: float) -> None:
        """Wait. Raises GestureCancelled."""

    def move(self, x: int, y: int) -> None:
        """Move the pointer, at most to the edge of the screen."""

    def position(self) -> Position:
        """Where it is."""

    def press_button(self, button: int) -> None:
        """Hold a button."""

    def release_button(self, button: int) -> None:
        """Let a button go."""

    def holding(self, modifiers: Sequence[str]) -> AbstractContextManager[None]:
        """Hold modifiers meanwhile."""


class Hands(Protocol):
    """Who makes one gesture at a time."""

    def gesture(self, cancelled: Cancelled) -> AbstractContextManager[Gesture]:
        """Make one."""


class GestureMouse:
    """See :class:`toolbox_computeruse.backend.Mouse`."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    def position(self) -> Position:
        with self._hands.gesture(_never) as gesture:
            return gesture.position()

    def move(self, x: int, y: int) -> Position:
        with self._hands.gesture(_never) as gesture:
            gesture.move(x, y)
            return gesture.position()

    def click(
        self, x: int, y: int, button: str, clicks: int, modifiers: tuple[str, ...]
    ) -> Position:
        with self._hands.gesture(_never) as gesture, gesture.holding(modifiers):
            gesture.move(x, y)
            gesture.wait(ARRIVE)
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
        cancelled: Cancelled,
    ) -> Position:
        with self._hands.gesture(cancelled) as gesture, gesture.holding(modifiers):
            gesture.move(start.x, start.y)
            gesture.wait(ARRIVE)
            gesture.press_button(BUTTONS[button])
            gesture.wait(GRIP)
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
        at: Position,
        direction: str,
        amount: int,
        modifiers: tuple[str, ...],
        cancelled: Cancelled,
    ) -> None:
        with self._hands.gesture(cancelled) as gesture, gesture.holding(modifiers):
            gesture.move(at.x, at.y)
            gesture.wait(ARRIVE)
            for number in range(amount):
                _click(gesture, WHEEL[direction], 0)
                if not number % NOTCHES:
                    gesture.wait(0)

    def down(self, at: Position | None, button: str) -> Position:
        with self._hands.gesture(_never) as gesture:
            if at is not None:
                gesture.move(at.x, at.y)
                gesture.wait(ARRIVE)
            gesture.press_button(BUTTONS[button])
            return gesture.position()

    def up(self, at: Position | None, button: str) -> Position:
        with self._hands.gesture(_never) as gesture:
            if at is not None:
                gesture.move(at.x, at.y)
                gesture.wait(ARRIVE)
            gesture.release_button(BUTTONS[button])
            return gesture.position()


def _never() -> bool:
    return False


def _click(gesture: Gesture, button: int, hold: float) -> None:
    gesture.press_button(button)
    if hold:
        gesture.wait(hold)
    gesture.release_button(button)
