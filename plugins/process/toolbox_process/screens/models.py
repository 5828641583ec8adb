"""Bodies and queries of the operations of screens."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta

MAX_LINES = 1000
"""Lines that have scrolled off a screen, in one response."""

Lines = Annotated[int, Meta(ge=0, le=MAX_LINES)]

Name = Annotated[str, Meta(max_length=100)]


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal's size in characters."""

    cols: int
    rows: int


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """The cursor's position, counted from 0, and whether it is shown."""

    row: int
    col: int
    visible: bool


class TerminalInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A terminal, running or ended. ``id`` is that of the PTY or of the job."""

    id: str
    job_id: str
    kind: str
    size: Size
    started_at: str
    done: bool
    exit_code: int | None = None
    reason: str | None = None


class TerminalInfos(msgspec.Struct, frozen=True, kw_only=True):
    """Terminals, the oldest first."""

    terminals: list[TerminalInfo]


class ScreenQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Lines that have scrolled off the top to return, too: the last of those that are kept."""

    scrollback: Lines = 0


class Screen(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A terminal's screen. ``rows`` are its lines without the blanks at their ends, that of the
    cursor with those before it.

    ``offset`` is the bytes of output that it shows. ``truncated`` if it may lack what was drawn
    long ago: more output came than is kept, and the program has not drawn all of it anew.
    """

    id: str
    size: Size
    rows: list[str]
    cursor: Cursor
    title: str
    alternate_screen: bool
    application_cursor: bool
    bracketed_paste: bool
    scrollback: list[str]
    offset: int
    truncated: bool
    done: bool
    exit_code: int | None = None
    reason: str | None = None


class SendRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Text to type, then keys: ``Enter``, ``Ctrl-C``, ``Alt-x``, ``Up``, ``F5``, ``Shift-Tab``.

    A line of the text ends with the key Enter. With ``paste`` it is marked as pasted, if the
    program has requested that (bracketed paste), so that it isn't taken for commands.
    """

    text: str = ""
    keys: Annotated[list[Name], Meta(max_length=1000)] = []
    paste: bool = False


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """Number of bytes sent, and the offset of the output before them, to wait from."""

    bytes: int
    offset: int


class ScreenWaitQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A regular expression (Python's, over the lines of the screen without empty ones at the end;
    ``^`` and ``$`` match at each), or seconds without output and input, or whichever comes first.

    With ``offset`` the text only counts once there is more output than that. At most ``timeout``
    seconds; ``scrollback`` as of a screen.
    """

    text: Annotated[str, Meta(max_length=1000)] | None = None
    idle: Annotated[float, Meta(ge=0, le=3600)] | None = None
    timeout: Annotated[float, Meta(ge=0, le=3600)] = 60.0
    offset: Annotated[int, Meta(ge=0)] | None = None
    scrollback: Lines = 0


class Waited(msgspec.Struct, frozen=True, kw_only=True):
    """The reason why waiting has ended, the text that matched, and the screen then."""

    reason: Literal["text", "idle", "ended", "timeout"]
    screen: Screen
    match: str | None = None
