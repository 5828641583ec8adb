"""Capturing the screen."""

from __future__ import annotations

import binascii
import io
from typing import TYPE_CHECKING
from typing import Any

from toolbox_computeruse import cursor
from toolbox_computeruse.connection import XConnection
from toolbox_computeruse.errors import ComputerUseUnavailable
from toolbox_computeruse.errors import InvalidInput
from toolbox_computeruse.hands import pointer_position
from toolbox_computeruse.models import Position
from toolbox_computeruse.models import Screenshot

if TYPE_CHECKING:
    from PIL import Image
    from Xlib.display import Display

    from toolbox_computeruse.backend import Region

Z_PIXMAP = 2
ALL_PLANES = 0xFFFFFFFF

FORMATS = {"": "png", "png": "png", "jpeg": "jpeg", "jpg": "jpeg", "webp": "webp"}
"""Every name of a format, and the one it goes by."""


class XScreen:
    """See :class:`toolbox_computeruse.backend.Screen`."""

    def __init__(self, connection: XConnection, max_pixels: int) -> None:
        self._connection = connection
        self._max_pixels = max_pixels

    def capture(
        self, region: Region | None, show_cursor: bool, format: str, quality: int, scale: float
    ) -> Screenshot:
        kind = FORMATS.get(format.lower())
        if kind is None:
            raise InvalidInput(f"unknown format {format!r}; known are png, jpeg and webp")
        if region is not None and region.width * region.height > self._max_pixels:
            raise InvalidInput(f"a region has at most {self._max_pixels} pixels")
        with self._connection.use() as display:
            image, origin = _grab(display, region)
            pointer = pointer_position(display)
            shape = cursor.read(display) if show_cursor else None
        if shape is not None:
            cursor.draw(image, shape, origin)
        return _encode(image, pointer, kind, quality, scale)


def _grab(display: Display, region: Region | None) -> tuple[Image.Image, Position]:
    """The pixels of ``region``, black where that is off the screen, and where it begins."""
    root = display.screen().root
    size = root.get_geometry()
    if region is None:
        return _read(display, 0, 0, size.width, size.height), Position(0, 0)
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
            f"the screen has {screen.root_depth} bits a pixel; only 24 and 32 are understood"
        )
    data = screen.root.get_image(x, y, width, height, Z_PIXMAP, ALL_PLANES).data
    size = (width, height)
    image: Image.Image = _pillow().frombuffer("RGB", size, data, "raw", "BGRX", width * 4, 1)
    return image


def _encode(
    image: Image.Image, pointer: Position, kind: str, quality: int, scale: float
) -> Screenshot:
    if scale != 1:
        width, height = (max(1, int(side * scale)) for side in image.size)
        image = image.resize((width, height), _pillow().Resampling.BOX)
    file = io.BytesIO()
    match kind:
        case "png":
            # More than level 1 takes five times as long and makes the file hardly smaller.
            image.save(file, "png", compress_level=1)
        case "jpeg":
            image.save(file, "jpeg", quality=quality)
        case _:
            image.save(file, "webp", quality=quality, method=0)
    content = file.getbuffer()
    return Screenshot(
        screenshot=binascii.b2a_base64(content, newline=False).decode("ascii"),
        cursor_position=pointer,
        size_bytes=len(content),
        width=image.width,
        height=image.height,
        format=kind,
    )


def _pillow() -> Any:
    """The module PIL.Image. Raises ComputerUseUnavailable."""
    try:
        from PIL import Image
    except ImportError as missing:
        raise ComputerUseUnavailable(f"Pillow is not installed: {missing}") from None
    return Image
