"""What the operations on the desktop, its screen, input and windows take and answer.

Fields that clients may send as ``null`` take it for absent.
"""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta

Flag = Literal["1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "false", "FALSE", "False"]
"""A boolean in a query, as Go's ``strconv.ParseBool`` takes it."""


class ProcessStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One program of the desktop."""

    running: bool
    priority: int
    auto_restart: bool
    pid: int | None = None


class DesktopStatus(msgspec.Struct, frozen=True):
    """What became of the programs after a start or stop, by name."""

    message: str
    status: dict[str, ProcessStatus]


class StatusWord(msgspec.Struct, frozen=True):
    """``active`` if everything required runs, ``partial`` if anything, else ``inactive``."""

    status: str


class ProgramStatus(msgspec.Struct, frozen=True, rename="camel"):
    """Whether a program runs."""

    process_name: str
    running: bool


class ProgramRestarted(msgspec.Struct, frozen=True, rename="camel"):
    """A program was ended and has been started."""

    message: str
    process_name: str


class ProgramLogs(msgspec.Struct, frozen=True, rename="camel"):
    """What a program wrote to standard output."""

    process_name: str
    logs: str


class ProgramErrors(msgspec.Struct, frozen=True, rename="camel"):
    """What a program wrote to standard error."""

    process_name: str
    errors: str


class LogQuery(msgspec.Struct, frozen=True):
    """How many lines of a log, from its end; 0 for all."""

    tail: Annotated[int, Meta(ge=0)] = 0

    def last(self, text: str) -> str:
        """The lines of ``text`` that were asked for."""
        return "".join(text.splitlines(keepends=True)[-self.tail :]) if self.tail else text


class Position(msgspec.Struct, frozen=True):
    """Pixels from the left and upper edge of the screen."""

    x: int
    y: int


class Screenshot(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An image of the screen."""

    screenshot: str
    """The file, in base64."""
    cursor_position: Position
    size_bytes: int
    """Bytes of the file."""
    width: int
    height: int
    format: str


class ScreenshotQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether to draw the pointer; the name with an underscore wins."""

    show_cursor: Flag = "false"
    show_cursor_old: Flag | None = msgspec.field(name="show_cursor", default=None)

    @property
    def cursor(self) -> bool:
        """Whether to draw the pointer."""
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
    """How to write the image: ``quality`` is for JPEG and WebP."""

    format: str = "png"
    quality: Quality = 85
    scale: Scale = 1.0


class CompressedRegionQuery(RegionQuery, frozen=True, kw_only=True, rename="camel"):
    """A part of the screen, and how to write its image."""

    format: str = "png"
    quality: Quality = 85
    scale: Scale = 1.0


class MoveRequest(msgspec.Struct, frozen=True):
    """Where the pointer goes."""

    x: int = 0
    y: int = 0


class ClickRequest(msgspec.Struct, frozen=True):
    """Where to click with what, how often, and the modifiers held meanwhile."""

    x: int = 0
    y: int = 0
    button: str | None = None
    double: bool | None = None
    clicks: Annotated[int, Meta(ge=1, le=10)] | None = None
    modifiers: list[str] | None = None


class DragRequest(msgspec.Struct, frozen=True, rename="camel"):
    """From where to where."""

    start_x: int = 0
    start_y: int = 0
    end_x: int = 0
    end_y: int = 0
    button: str | None = None
    modifiers: list[str] | None = None


class ScrollRequest(msgspec.Struct, frozen=True):
    """Where, which way, and how many notches of the wheel; 0 is 1."""

    direction: str
    x: int = 0
    y: int = 0
    amount: Annotated[int, Meta(ge=0, le=1000)] | None = None
    modifiers: list[str] | None = None


class ButtonRequest(msgspec.Struct, frozen=True):
    """A button, and where to go first; neither coordinate to stay."""

    x: int | None = None
    y: int | None = None
    button: str | None = None


class Scrolled(msgspec.Struct, frozen=True):
    """The wheel was turned."""

    success: bool


class TypeRequest(msgspec.Struct, frozen=True):
    """A text, and milliseconds to wait after each character."""

    text: str = ""
    delay: Annotated[int, Meta(le=60_000)] | None = None


class KeyRequest(msgspec.Struct, frozen=True):
    """A key, and the modifiers held meanwhile."""

    key: str = ""
    modifiers: list[str] | None = None


class HeldKeyRequest(msgspec.Struct, frozen=True):
    """A key to hold or let go."""

    key: str


class HotkeyRequest(msgspec.Struct, frozen=True):
    """A combination such as ``ctrl+shift+t``."""

    keys: str = ""


class Done(msgspec.Struct, frozen=True):
    """It was done."""


class Display(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One monitor."""

    id: int
    x: int
    y: int
    width: int
    height: int
    is_active: bool


class Displays(msgspec.Struct, frozen=True):
    """The monitors, the first one first."""

    displays: list[Display]


class Window(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One window of a program; the place is that of its content, in pixels of the screen."""

    id: int
    """The X window id."""
    title: str
    x: int
    y: int
    width: int
    height: int
    is_active: bool
    """Whether it is the active one and has the keyboard."""
    pid: int
    """0 if the program doesn't tell."""
    class_name: str
    minimized: bool
    desktop: int
    """The virtual desktop, from 0; -1 if it is on all or there are none."""


class Windows(msgspec.Struct, frozen=True):
    """The windows in the order in which they were opened."""

    windows: list[Window]
