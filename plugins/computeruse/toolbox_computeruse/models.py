"""Requests and responses of the operations on the desktop, its screen, input and windows.

In a request ``null`` is the same as an absent field, where a field allows it.
"""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta

Flag = Literal["1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "false", "FALSE", "False"]
"""A boolean in a query, as Go's ``strconv.ParseBool`` accepts it."""


class ProcessStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One program of the desktop."""

    running: bool
    priority: int
    auto_restart: bool
    pid: int | None = None


class DesktopStatus(msgspec.Struct, frozen=True):
    """The programs' states after a start or stop, by name."""

    message: str
    status: dict[str, ProcessStatus]


class StatusWord(msgspec.Struct, frozen=True):
    """``active`` if all required programs run, ``partial`` if some do, else ``inactive``."""

    status: str


class ProgramStatus(msgspec.Struct, frozen=True, rename="camel"):
    """The state of a program."""

    process_name: str
    running: bool


class ProgramRestarted(msgspec.Struct, frozen=True, rename="camel"):
    """A program that was restarted."""

    message: str
    process_name: str


class ProgramLogs(msgspec.Struct, frozen=True, rename="camel"):
    """A program's standard output."""

    process_name: str
    logs: str


class ProgramErrors(msgspec.Struct, frozen=True, rename="camel"):
    """A program's standard error."""

    process_name: str
    errors: str


class LogQuery(msgspec.Struct, frozen=True):
    """The number of lines from the end of a log; 0 for all."""

    tail: Annotated[int, Meta(ge=0)] = 0

    def last(self, text: str) -> str:
        """Return the requested lines of ``text``."""
        return "".join(text.splitlines(keepends=True)[-self.tail :]) if self.tail else text


class Position(msgspec.Struct, frozen=True):
    """Pixels from the left and upper edge of the screen."""

    x: int
    y: int


class Region(msgspec.Struct, frozen=True):
    """A rectangle in pixels of the screen, which may extend beyond it."""

    x: int
    y: int
    width: int
    height: int


class Screenshot(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An image of the screen."""

    screenshot: str
    """The image file, in base64."""
    cursor_position: Position
    size_bytes: int
    """Size of the file in bytes."""
    width: int
    height: int
    format: str


class ScreenshotQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The option to draw the pointer; ``show_cursor`` takes precedence."""

    show_cursor: Flag = "false"
    show_cursor_old: Flag | None = msgspec.field(name="show_cursor", default=None)

    @property
    def cursor(self) -> bool:
        """True if the pointer is to be drawn."""
        # Every accepted form of "true" starts with one of these characters.
        return (self.show_cursor_old or self.show_cursor)[0] in "1tT"


class RegionQuery(ScreenshotQuery, frozen=True, kw_only=True, rename="camel"):
    """A part of the screen."""

    x: int
    y: int
    width: Annotated[int, Meta(ge=1)]
    height: Annotated[int, Meta(ge=1)]


ImageFormat = Literal["png", "jpeg", "jpg", "webp"]
Quality = Annotated[int, Meta(ge=1, le=100)]
Scale = Annotated[float, Meta(ge=0.1, le=1.0)]


class CompressedQuery(ScreenshotQuery, frozen=True, kw_only=True, rename="camel"):
    """The format of the image; ``quality`` applies to JPEG and WebP."""

    format: str = "png"
    quality: Quality = 85
    scale: Scale = 1.0


class CompressedRegionQuery(RegionQuery, frozen=True, kw_only=True, rename="camel"):
    """A part of the screen, and the format of its image."""

    format: str = "png"
    quality: Quality = 85
    scale: Scale = 1.0


class MoveRequest(msgspec.Struct, frozen=True):
    """The pointer's new position."""

    x: int = 0
    y: int = 0


class ClickRequest(msgspec.Struct, frozen=True):
    """The position, button and number of clicks, and the modifiers held during them."""

    x: int = 0
    y: int = 0
    button: str | None = None
    double: bool | None = None
    clicks: Annotated[int, Meta(ge=1, le=10)] | None = None
    modifiers: list[str] | None = None


class DragRequest(msgspec.Struct, frozen=True, rename="camel"):
    """The start and end of a drag."""

    start_x: int = 0
    start_y: int = 0
    end_x: int = 0
    end_y: int = 0
    button: str | None = None
    modifiers: list[str] | None = None


class ScrollRequest(msgspec.Struct, frozen=True):
    """The position, direction and notches of the wheel; 0 means 1."""

    direction: str
    x: int = 0
    y: int = 0
    amount: Annotated[int, Meta(ge=0, le=1000)] | None = None
    modifiers: list[str] | None = None


class ButtonRequest(msgspec.Struct, frozen=True):
    """A button, and the position to move to first; without coordinates the pointer stays."""

    x: int | None = None
    y: int | None = None
    button: str | None = None


class Scrolled(msgspec.Struct, frozen=True):
    """The outcome of a scroll."""

    success: bool


class TypeRequest(msgspec.Struct, frozen=True):
    """A text, and milliseconds to wait after each character."""

    text: str = ""
    delay: Annotated[int, Meta(le=60_000)] | None = None


class KeyRequest(msgspec.Struct, frozen=True):
    """A key, and the modifiers held with it."""

    key: str = ""
    modifiers: list[str] | None = None


class HeldKeyRequest(msgspec.Struct, frozen=True):
    """A key to hold or release."""

    key: str


class HotkeyRequest(msgspec.Struct, frozen=True):
    """A combination such as ``ctrl+shift+t``."""

    keys: str = ""


class Done(msgspec.Struct, frozen=True):
    """An empty response."""


class Display(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One monitor."""

    id: int
    x: int
    y: int
    width: int
    height: int
    is_active: bool


class Displays(msgspec.Struct, frozen=True):
    """The monitors, the primary one first."""

    displays: list[Display]


class Window(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One window of a program; its position is that of the content, in pixels of the screen."""

    id: int
    """The X window id."""
    title: str
    x: int
    y: int
    width: int
    height: int
    is_active: bool
    """True if the window is active and has the keyboard focus."""
    pid: int
    """0 if the program doesn't set it."""
    class_name: str
    minimized: bool
    desktop: int
    """The virtual desktop, from 0; -1 if the window is on all, or there are none."""


class Windows(msgspec.Struct, frozen=True):
    """The windows, in the order in which they were opened."""

    windows: list[Window]
