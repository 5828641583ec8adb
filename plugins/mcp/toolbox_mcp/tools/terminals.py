"""The tools of the group ``process`` for programs with a screen: editors, debuggers, installers."""

from __future__ import annotations

import uuid
from collections.abc import Generator
from typing import Annotated

from msgspec import Meta
from toolbox_process.screens.models import Screen
from toolbox_process.screens.models import ScreenWaitQuery
from toolbox_process.screens.models import SendRequest
from toolbox_process.screens.protocol import Screens
from toolbox_process.terminals.models import COLUMNS
from toolbox_process.terminals.models import ROWS
from toolbox_process.terminals.models import CreatePtyRequest

from toolbox.linux.clock import awake
from toolbox_mcp import content
from toolbox_mcp.tool import Call
from toolbox_mcp.tool import Progress
from toolbox_mcp.tool import Tool
from toolbox_mcp.tool import ToolResult
from toolbox_mcp.tools.arguments import Arguments

STEP = 1.0
"""Seconds between two reports of progress."""

QUIET = 0.5
"""Seconds without output after which a program has most likely drawn what it wanted to."""

TerminalId = Annotated[str, Meta(min_length=1, max_length=128, description="Id of a terminal.")]
Keys = Annotated[
    list[Annotated[str, Meta(max_length=100)]],
    Meta(
        max_length=100,
        description="Keys to press after the text: Enter, Escape, Tab, Up, PageDown, F1, Ctrl-C, "
        "Alt-x, Shift-Tab.",
    ),
]
Lines = Annotated[
    int, Meta(ge=0, le=1000, description="Lines to show that have scrolled off the top.")
]


class StartTerminal(Arguments, frozen=True, kw_only=True):
    """A terminal to start."""

    command: Annotated[str, Meta(description="Command line to type into its shell.")] = ""
    cwd: Annotated[str, Meta(description="Directory to start it in.")] | None = None
    env: Annotated[dict[str, str | None], Meta(description="More environment variables.")] = {}
    cols: Annotated[int, Meta(ge=1, le=1000, description="Width in characters.")] = COLUMNS
    rows: Annotated[int, Meta(ge=1, le=1000, description="Height in lines.")] = ROWS


class SendKeys(Arguments, frozen=True, kw_only=True):
    """Text and keys to type."""

    terminal_id: TerminalId
    text: Annotated[str, Meta(description="Text to type; a newline is the key Enter.")] = ""
    keys: Keys = []
    paste: Annotated[bool, Meta(description="Paste the text, so that it isn't a command.")] = False


class GetScreen(Arguments, frozen=True, kw_only=True):
    """A screen to read."""

    terminal_id: TerminalId
    scrollback: Lines = 0


class WaitForScreen(Arguments, frozen=True, kw_only=True):
    """A text or a silence to wait for."""

    terminal_id: TerminalId
    text: (
        Annotated[str, Meta(max_length=1000, description="Regular expression for the screen.")]
        | None
    ) = None
    idle: (
        Annotated[float, Meta(ge=0, le=600, description="Seconds without output that suffice.")]
        | None
    ) = None
    timeout: Annotated[float, Meta(ge=0, le=600, description="Seconds to wait at most.")] = 30
    scrollback: Lines = 0


def start_terminal(call: Call, arguments: StartTerminal) -> ToolResult:
    """Start a terminal, and type a command into its shell."""
    process = call.backends["process"]
    name = uuid.uuid4().hex[:12]
    request = CreatePtyRequest(
        id=name,
        cwd=arguments.cwd,
        envs=arguments.env,
        cols=arguments.cols,
        rows=arguments.rows,
    )
    process.terminals.create(request)
    screens: Screens = process.screens
    # The shell is there first, or what is typed shows up before its prompt.
    screens.wait(name, ScreenWaitQuery(idle=QUIET, timeout=5), call.is_abandoned)
    if arguments.command:
        screens.send(name, SendRequest(text=arguments.command, keys=["Enter"]))
    return _quiet(call, screens, name)


def send_keys(call: Call, arguments: SendKeys) -> ToolResult:
    """Type, and show the screen once it is quiet."""
    screens: Screens = call.backends["process"].screens
    request = SendRequest(text=arguments.text, keys=arguments.keys, paste=arguments.paste)
    screens.send(arguments.terminal_id, request)
    return _quiet(call, screens, arguments.terminal_id)


def _quiet(call: Call, screens: Screens, name: str) -> ToolResult:
    query = ScreenWaitQuery(idle=QUIET, timeout=5)
    return _shown(screens.wait(name, query, call.is_abandoned).screen)


def get_screen(call: Call, arguments: GetScreen) -> ToolResult:
    """Show the screen."""
    screens: Screens = call.backends["process"].screens
    return _shown(screens.look(arguments.terminal_id, arguments.scrollback))


def wait_for_screen(call: Call, arguments: WaitForScreen) -> Generator[Progress, None, ToolResult]:
    """Wait for a text or for silence."""
    screens: Screens = call.backends["process"].screens
    begun = awake()
    idle = arguments.idle
    if idle is None and arguments.text is None:
        idle = QUIET
    while True:
        left = max(0.0, begun + arguments.timeout - awake())
        query = ScreenWaitQuery(
            text=arguments.text,
            idle=idle,
            timeout=min(STEP, left),
            scrollback=arguments.scrollback,
        )
        found = screens.wait(arguments.terminal_id, query, call.is_abandoned)
        if found.reason != "timeout" or left <= STEP:
            return _shown(found.screen, f"[{_REASONS[found.reason]}]")
        yield Progress(awake() - begun, "waiting for the screen")


_REASONS: dict[str, str] = {
    "text": "the text is there",
    "idle": "quiet",
    "ended": "the terminal has ended",
    "timeout": "neither came in time",
}
"""The reasons why waiting ends, as a model reads them."""


def _shown(screen: Screen, note: str = "") -> ToolResult:
    """Return a screen as text, with what the lines alone don't tell."""
    lines = [*screen.scrollback, *screen.rows]
    text = "\n".join(line.rstrip() for line in lines).rstrip("\n")
    row, column = screen.cursor.row + 1, screen.cursor.col + 1
    cursor = f"[terminal {screen.id}; cursor at line {row}, column {column}"
    cursor += f"; title {screen.title!r}" if screen.title else ""
    cursor += f"; ended, exit code {screen.exit_code}" if screen.done else ""
    return content.structured(screen, "\n".join(filter(None, (text, note, cursor + "]"))))


TOOLS = (
    Tool(
        name="start_terminal",
        description="Start a shell on a terminal with a screen, for programs that draw or ask: "
        "editors, debuggers, installers, REPLs. Returns the screen and the terminal's id.",
        arguments=StartTerminal,
        run=start_terminal,
        result=Screen,
        destructive=True,
        open_world=True,
    ),
    Tool(
        name="send_keys",
        description="Type text and press keys on a terminal. Returns the screen once it is quiet.",
        arguments=SendKeys,
        run=send_keys,
        result=Screen,
        destructive=True,
        open_world=True,
    ),
    Tool(
        name="get_screen",
        description="Get the screen of a terminal as text.",
        arguments=GetScreen,
        run=get_screen,
        result=Screen,
        read_only=True,
    ),
    Tool(
        name="wait_for_screen",
        description="Wait until a text is on the screen of a terminal, or until it is quiet, or "
        "has ended. Returns the screen.",
        arguments=WaitForScreen,
        run=wait_for_screen,
        result=Screen,
        read_only=True,
    ),
)
