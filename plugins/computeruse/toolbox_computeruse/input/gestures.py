"""Names of buttons and directions, and positions."""

from __future__ import annotations

from toolbox_computeruse.errors import InvalidInput
from toolbox_computeruse.models import Position

BUTTONS = ("left", "middle", "right")
DIRECTIONS = ("up", "down", "left", "right")


def parse_button(text: str | None) -> str:
    """Return the button's name, by default ``left``. Raises InvalidInput."""
    name = (text or "").strip().lower() or "left"
    if name not in BUTTONS:
        raise InvalidInput(f"unknown button {text!r}; expected one of {', '.join(BUTTONS)}")
    return name


def parse_direction(text: str) -> str:
    """Return the direction's name. Raises InvalidInput."""
    name = text.strip().lower()
    if name not in DIRECTIONS:
        raise InvalidInput(f"unknown direction {text!r}; expected one of {', '.join(DIRECTIONS)}")
    return name


def parse_position(x: int | None, y: int | None) -> Position | None:
    """Return a position, or None without coordinates. Raises InvalidInput if one is missing."""
    if (x is None) != (y is None):
        raise InvalidInput("x and y must be given together")
    return Position(x, y) if x is not None and y is not None else None
