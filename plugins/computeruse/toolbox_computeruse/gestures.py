"""What buttons, directions and places are called."""

from __future__ import annotations

from toolbox_computeruse.errors import InvalidInput
from toolbox_computeruse.models import Position

BUTTONS = ("left", "middle", "right")
DIRECTIONS = ("up", "down", "left", "right")


def parse_button(text: str | None) -> str:
    """The button; ``left`` if there is none. Raises InvalidInput."""
    name = (text or "").strip().lower() or "left"
    if name not in BUTTONS:
        raise InvalidInput(f"unknown button {text!r}; it is one of {', '.join(BUTTONS)}")
    return name


def parse_direction(text: str) -> str:
    """Where the wheel is turned. Raises InvalidInput."""
    name = text.strip().lower()
    if name not in DIRECTIONS:
        raise InvalidInput(f"unknown direction {text!r}; it is one of {', '.join(DIRECTIONS)}")
    return name


def parse_place(x: int | None, y: int | None) -> Position | None:
    """A place, or None for where the pointer is. Raises InvalidInput for half a place."""
    if (x is None) != (y is None):
        raise InvalidInput("x and y come together or not at all")
    return Position(x, y) if x is not None and y is not None else None
