"""The pointer's image, from the X server (XFixes extension)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec

from toolbox_computeruse.models import Position
from toolbox_computeruse.pointer import pointer_position

if TYPE_CHECKING:
    from PIL import Image
    from Xlib.display import Display

ARM = 20
"""Length in pixels of each arm of the cross that is drawn if there is no image."""


class Cursor(msgspec.Struct, frozen=True):
    """Position and pixels of the pointer's image."""

    x: int
    """Of the upper left corner; of the pointer itself if there are no pixels."""
    y: int
    width: int
    height: int
    pixels: bytes
    """Blue, green, red, alpha; colors premultiplied by alpha. Empty if there is no image."""


def read(display: Display) -> Cursor:
    """Return the current pointer."""
    from Xlib.error import XError

    root = display.screen().root
    if display.has_extension("XFIXES"):
        display.xfixes_query_version()
        # The server denies access (BadAccess) to an image whose client has disconnected, such as
        # that of a window manager while the next one starts.
        with contextlib.suppress(XError):
            found = display.xfixes_get_cursor_image(root)
            pixels = b"".join(pixel.to_bytes(4, "little") for pixel in found.cursor_image)
            # A completely transparent image would leave no trace of the pointer.
            if any(pixels):
                left, top = found.x - found.xhot, found.y - found.yhot
                return Cursor(left, top, found.width, found.height, pixels)
    position = pointer_position(display)
    return Cursor(position.x, position.y, 0, 0, b"")


def draw(image: Image.Image, cursor: Cursor, origin: Position) -> None:
    """Draw the pointer into an image whose upper left corner is at ``origin``."""
    left, top = cursor.x - origin.x, cursor.y - origin.y
    if not cursor.pixels:
        _draw_cross(image, left, top)
        return
    from PIL import Image
    from PIL import ImageChops

    size = cursor.width, cursor.height
    shape = Image.frombuffer("RGBA", size, cursor.pixels, "raw", "BGRA", 0, 1)
    alpha = shape.getchannel("A")
    # The colors are premultiplied: the background is dimmed and they are added.
    background = image.crop((left, top, left + cursor.width, top + cursor.height))
    dimmed = Image.composite(Image.new("RGB", size), background, alpha)
    image.paste(ImageChops.add(dimmed, shape.convert("RGB")), (left, top))


def _draw_cross(image: Image.Image, x: int, y: int) -> None:
    from PIL import ImageDraw

    pen = ImageDraw.Draw(image)
    for color, width in (("white", 3), ("black", 1)):
        pen.line((x - ARM, y, x + ARM, y), color, width)
        pen.line((x, y - ARM, x, y + ARM), color, width)
    pen.rectangle((x - 2, y - 2, x + 2, y + 2), "red")
