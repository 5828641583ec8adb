"""The tools of the group ``computeruse``: the screen as an image, mouse and keyboard."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta
from toolbox_computeruse.backend import ComputerUseBackend
from toolbox_computeruse.input.chords import check_text
from toolbox_computeruse.input.chords import parse_hotkey
from toolbox_computeruse.models import Position

from toolbox_mcp.tool import Call
from toolbox_mcp.tool import Tool
from toolbox_mcp.tool import ToolResult
from toolbox_mcp.tools.arguments import Arguments

Pixel = Annotated[int, Meta(ge=-100_000, le=100_000)]
Button = Literal["left", "middle", "right"]


class Shot(Arguments, frozen=True, kw_only=True):
    """The size and the quality of an image."""

    scale: Annotated[float, Meta(ge=0.1, le=1, description="Factor; 1 is the full size.")] = 1.0
    format: Literal["png", "jpeg", "webp"] = "png"
    quality: Annotated[int, Meta(ge=1, le=100, description="Of JPEG and WebP.")] = 85


class Size(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An image, and the pointer's position on the screen."""

    width: int
    height: int
    cursor_x: int
    cursor_y: int


class Point(Arguments, frozen=True, kw_only=True):
    """A position on the screen, in pixels from its upper left corner."""

    x: Pixel
    y: Pixel


class Click(Point, frozen=True, kw_only=True):
    """A click."""

    button: Button = "left"
    clicks: Annotated[int, Meta(ge=1, le=10, description="2 for a double click.")] = 1


class Drag(Arguments, frozen=True, kw_only=True):
    """A drag from one position to another."""

    start_x: Pixel
    start_y: Pixel
    end_x: Pixel
    end_y: Pixel
    button: Button = "left"


class Scroll(Point, frozen=True, kw_only=True):
    """Notches of the wheel."""

    direction: Literal["up", "down", "left", "right"]
    amount: Annotated[int, Meta(ge=1, le=1000)] = 3


class Text(Arguments, frozen=True, kw_only=True):
    """A text to type."""

    text: Annotated[str, Meta(max_length=100_000)]


class Key(Arguments, frozen=True, kw_only=True):
    """A key with its modifiers."""

    key: Annotated[str, Meta(min_length=1, description="Such as enter, a, ctrl+s, alt+f4.")]


def _desktop(call: Call) -> ComputerUseBackend:
    backend: ComputerUseBackend = call.backends["computeruse"]
    return backend


def screenshot(call: Call, arguments: Shot) -> ToolResult:
    """Return the screen as an image."""
    found = _desktop(call).screen.capture(
        None, True, arguments.format, arguments.quality, arguments.scale
    )
    image = {"type": "image", "data": found.screenshot, "mimeType": f"image/{found.format}"}
    position = found.cursor_position
    size = Size(width=found.width, height=found.height, cursor_x=position.x, cursor_y=position.y)
    return ToolResult(content=[image], structured=size)


def click(call: Call, arguments: Click) -> str:
    """Move the pointer and click."""
    button, clicks = arguments.button, arguments.clicks
    return _at(_desktop(call).mouse.click(arguments.x, arguments.y, button, clicks, ()))


def move_mouse(call: Call, arguments: Point) -> str:
    """Move the pointer."""
    return _at(_desktop(call).mouse.move(arguments.x, arguments.y))


def drag(call: Call, arguments: Drag) -> str:
    """Move the pointer with a button held."""
    start = Position(arguments.start_x, arguments.start_y)
    end = Position(arguments.end_x, arguments.end_y)
    return _at(_desktop(call).mouse.drag(start, end, arguments.button, (), call.is_abandoned))


def scroll(call: Call, arguments: Scroll) -> str:
    """Turn the wheel."""
    position = Position(arguments.x, arguments.y)
    mouse, direction = _desktop(call).mouse, arguments.direction
    mouse.scroll(position, direction, arguments.amount, (), call.is_abandoned)
    return "done"


def type_text(call: Call, arguments: Text) -> str:
    """Type a text."""
    _desktop(call).keyboard.type(check_text(arguments.text), 0, call.is_abandoned)
    return "done"


def press_key(call: Call, arguments: Key) -> str:
    """Press a key with its modifiers."""
    _desktop(call).keyboard.press(parse_hotkey(arguments.key))
    return "done"


def _at(position: Position) -> str:
    return f"the pointer is at {position.x}, {position.y}"


TOOLS = (
    Tool(
        name="screenshot",
        description="Take a picture of the screen, with the pointer. Positions for mouse tools are "
        "pixels of the full size.",
        arguments=Shot,
        run=screenshot,
        result=Size,
        read_only=True,
    ),
    Tool(
        name="click",
        description="Move the pointer and click.",
        arguments=Click,
        run=click,
        destructive=True,
        open_world=True,
    ),
    Tool(
        name="move_mouse",
        description="Move the pointer without a click.",
        arguments=Point,
        run=move_mouse,
        idempotent=True,
    ),
    Tool(
        name="drag",
        description="Press a button at one position, move the pointer and release it at another.",
        arguments=Drag,
        run=drag,
        destructive=True,
        open_world=True,
    ),
    Tool(
        name="scroll",
        description="Turn the mouse wheel at a position.",
        arguments=Scroll,
        run=scroll,
    ),
    Tool(
        name="type_text",
        description="Type a text into the window that has the focus. A newline is the Enter key.",
        arguments=Text,
        run=type_text,
        destructive=True,
        open_world=True,
    ),
    Tool(
        name="press_key",
        description="Press a key with modifiers: enter, tab, ctrl+s, alt+f4.",
        arguments=Key,
        run=press_key,
        destructive=True,
        open_world=True,
    ),
)
