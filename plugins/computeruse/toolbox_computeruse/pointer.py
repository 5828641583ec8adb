"""Queries of the pointer, which move nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolbox_computeruse.models import Position

if TYPE_CHECKING:
    from Xlib.display import Display


def pointer_position(display: Display) -> Position:
    """Return the pointer's position."""
    found = display.screen().root.query_pointer()
    return Position(found.root_x, found.root_y)


def modifiers_and_layout(display: Display) -> tuple[int, int]:
    """Return the modifiers in effect, as X's mask, and the keyboard layout (XKB group)."""
    mask = display.screen().root.query_pointer().mask
    # Bits 13 and 14 are the group (X Keyboard Extension, section 2.2.2).
    return mask & 0xFF, mask >> 13 & 3
