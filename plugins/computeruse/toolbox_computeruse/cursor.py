"""The pointer's image, as the server shows it (XFixes)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec

from toolbox_computeruse.models import Position

if TYPE_CHECKING:
    from PIL import Image
    from Xlib.display import Display

ARM = 20
"""Pixels from the middle of the cross that is drawn where there is no image."""


class Cursor(msgspec.Struct, frozen=True):
    """Where the image of the pointer is, and its pixels."""

    x: int
    """Of its upper left corner; of the pointer itself if there are no pixels."""
    y: int
    width: int
    height: int
    pixels: bytes
    """Blue, green, red, alpha; colours multiplied by alpha. Empty if there is no image."""


def read(display: Display) -> Cursor:
    """The pointer as it is now."""
    from Xlib.error import XError

    root = display.screen().root
    if display.has_extension("XFIXES"):
        display.xfixes_query_version()
        # The server denies the image (BadAccess) of one whose client has gone: that of the window
        # manager before, while the next one starts.
        with contextlib.suppress(XError):
            found = display.xfixes_get_cursor_image(root)
            pixels = b"".join(each.to_bytes(4, "little") for each in found.cursor_image)
            if any(pixels):
                left, top = found.x - found.xhot, found.y - found.yhot
                return Cursor(left, top, found.width, found.height, pixels)
    where = root.query_pointer()
    return Cursor(where.root_x, where.root_y, 0, 0, b"")


def draw(image: Image.Image, cursor: Cursor, origin: Position) -> None:
    """Draw the pointer into an image whose corner is at ``origin``."""
    at = cursor.x - origin.x, cursor.y - origin.y
    if not cursor.pixels:
        _draw_cross(image, *at)
        return
    from PIL import Image
    from PIL import ImageChops

    size = cursor.width, cursor.height
    shape = Image.frombuffer("RGBA", size, cursor.pixels, "raw", "BGRA", 0, 1)
    alpha = shape.getchannel("A")
    box = (*at, at[0] + cursor.width, at[1] + cursor.height)
    # Colours are multiplied already, so what is below is dimmed and they are added.
    below = image.crop(box)
    dimmed = Image.composite(Image.new("RGB", size), below, alpha)
    image.paste(ImageChops.add(dimmed, shape.convert("RGB")), box[:2])


def _draw_cross(image: Image.Image, x: int, y: int) -> None:
    from PIL import ImageDraw

    pen = ImageDraw.Draw(image)
    for colour, width in (("white", 3), ("black", 1)):
        pen.line((x - ARM, y, x + ARM, y), colour, width)
        pen.line((x, y - ARM, x, y + ARM), colour, width)
    pen.rectangle((x - 2, y - 2, x + 2, y + 2), "red")
