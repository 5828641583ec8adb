"""Screenshots."""

from __future__ import annotations

import binascii
import io
from typing import TYPE_CHECKING
from typing import Any

from toolbox_computeruse.connection import XConnection
from toolbox_computeruse.errors import ComputerUseUnavailable
from toolbox_computeruse.errors import InvalidInput
from toolbox_computeruse.models import Position
from toolbox_computeruse.models import Region
from toolbox_computeruse.models import Screenshot
from toolbox_computeruse.pointer import pointer_position
from toolbox_computeruse.screen import cursor

if TYPE_CHECKING:
    from PIL import Image
    from Xlib.display import Display

Z_PIXMAP = 2
ALL_PLANES = 0xFFFFFFFF

FORMATS = {"": "png", "png": "png", "jpeg": "jpeg", "jpg": "jpeg", "webp": "webp"}
"""Every name of an image format, and its canonical name."""


class XScreen:
    """An implementation of :class:`toolbox_computeruse.backend.Screen` for X11."""

    def __init__(self, connection: XConnection, max_pixels: int) -> None:
        self._connection = connection
        self._max_pixels = max_pixels

    def capture(
        self, region: Region | None, show_cursor: bool, format: str, quality: int, scale: float
    ) -> Screenshot:
        kind = FORMATS.get(format.lower())
        if kind is None:
            raise InvalidInput(f"unknown format {format!r}; expected png, jpeg or webp")
        if region is not None and region.width * region.height > self._max_pixels:
            raise InvalidInput(f"the region is too large (limit {self._max_pixels} pixels)")
        with self._connection.use() as display:
            image, origin = grab(display, region)
            pointer = pointer_position(display)
            shape = cursor.read(display) if show_cursor else None
        # Drawn after the connection was given up, which other requests may wait for.
        if shape is not None:
            cursor.draw(image, shape, origin)
        content, image = encode(image, kind, quality, scale)
        return Screenshot(
            screenshot=binascii.b2a_base64(content, newline=False).decode("ascii"),
            cursor_position=pointer,
            size_bytes=len(content),
            width=image.width,
            height=image.height,
            format=kind,
        )


def grab(display: Display, region: Region | None) -> tuple[Image.Image, Position]:
    """Return the pixels of ``region``, black outside the screen, and its upper left corner."""
    root = display.screen().root
    size = root.get_geometry()
    if region is None:
        return _read(display, 0, 0, size.width, size.height), Position(0, 0)
    # The server refuses a request that reaches beyond the screen (X protocol, GetImage).
    left, top = max(region.x, 0), max(region.y, 0)
    right = min(region.x + region.width, size.width)
    bottom = min(region.y + region.height, size.height)
    if (right - left, bottom - top) == (region.width, region.height):
        image = _read(display, left, top, region.width, region.height)
    else:
        image = _pillow().new("RGB", (region.width, region.height))
        if left < right and top < bottom:
            part = _read(display, left, top, right - left, bottom - top)
            image.paste(part, (left - region.x, top - region.y))
    return image, Position(region.x, region.y)


def _read(display: Display, x: int, y: int, width: int, height: int) -> Image.Image:
    screen = display.screen()
    if screen.root_depth not in (24, 32):
        raise ComputerUseUnavailable(
            f"unsupported screen depth: {screen.root_depth} bits per pixel; expected 24 or 32"
        )
    data = screen.root.get_image(x, y, width, height, Z_PIXMAP, ALL_PLANES).data
    # At both depths a pixel has 32 bits, of which the last eight are unused.
    size = (width, height)
    image: Image.Image = _pillow().frombuffer("RGB", size, data, "raw", "BGRX", width * 4, 1)
    return image


def encode(
    image: Image.Image, kind: str, quality: int, scale: float
) -> tuple[memoryview, Image.Image]:
    """Return the file of an image that is scaled down, and the scaled image.

    ``kind`` is a canonical name of :data:`FORMATS`.
    """
    if scale != 1:
        width, height = (max(1, int(side * scale)) for side in image.size)
        image = image.resize((width, height), _pillow().Resampling.BOX)
    return _compress(image, kind, quality), image


def _compress(image: Image.Image, kind: str, quality: int) -> memoryview:
    file = io.BytesIO()
    match kind:
        case "png":
            # Higher levels take five times as long and hardly make the file smaller.
            image.save(file, "png", compress_level=1)
        case "jpeg":
            image.save(file, "jpeg", quality=quality)
        case _:
            image.save(file, "webp", quality=quality, method=0)
    return file.getbuffer()


def _pillow() -> Any:
    """Return the module PIL.Image. Raises ComputerUseUnavailable."""
    try:
        from PIL import Image
    except ImportError as missing:
        raise ComputerUseUnavailable(f"Pillow is not installed: {missing}") from None
    return Image
