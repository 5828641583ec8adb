"""The request for the screen as it changes, and its response."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta

from toolbox_computeruse.models import Flag
from toolbox_computeruse.models import Quality
from toolbox_computeruse.models import Scale


class View(msgspec.Struct, frozen=True, kw_only=True):
    """The way in which a viewer sees the whole screen."""

    format: Literal["png", "jpeg", "webp"]
    quality: int
    scale: float
    cursor: bool

    @property
    def name(self) -> str:
        """A name that differs from that of each other view."""
        return f"{self.format}-{self.quality}-{self.scale}-{int(self.cursor)}"


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """An image of the whole screen."""

    content: bytes
    kind: str
    """The format: ``png``, ``jpeg`` or ``webp``."""
    tag: str
    """The same only for the same pixels."""
    width: int
    """Of the screen, in its own pixels."""
    height: int


class FrameQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A view of the screen, and the seconds to wait until it changes."""

    format: Literal["png", "jpeg", "webp"] = "jpeg"
    quality: Quality = 80
    scale: Scale = 1.0
    show_cursor: Flag = "true"
    wait: Annotated[float, Meta(ge=0, le=30)] = 0

    @property
    def view(self) -> View:
        """The view that is asked for."""
        return View(
            format=self.format,
            quality=self.quality,
            scale=self.scale,
            cursor=self.show_cursor[0] in "1tT",
        )
