"""The operations on the desktop, its screen and its input."""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.group import Group
from toolbox.request import RequestInfo
from toolbox_computeruse.backend import ComputerUseBackend
from toolbox_computeruse.backend import Region
from toolbox_computeruse.chords import check_text
from toolbox_computeruse.chords import parse_chord
from toolbox_computeruse.chords import parse_hotkey
from toolbox_computeruse.chords import parse_key
from toolbox_computeruse.chords import parse_modifiers
from toolbox_computeruse.errors import ComputerUseUnavailable
from toolbox_computeruse.errors import DisplayUnavailable
from toolbox_computeruse.errors import GestureCancelled
from toolbox_computeruse.errors import InputBusy
from toolbox_computeruse.errors import InvalidInput
from toolbox_computeruse.errors import ProcessNotFound
from toolbox_computeruse.gestures import parse_button
from toolbox_computeruse.gestures import parse_direction
from toolbox_computeruse.gestures import parse_place
from toolbox_computeruse.models import ButtonRequest
from toolbox_computeruse.models import ClickRequest
from toolbox_computeruse.models import CompressedQuery
from toolbox_computeruse.models import CompressedRegionQuery
from toolbox_computeruse.models import DesktopStatus
from toolbox_computeruse.models import Displays
from toolbox_computeruse.models import Done
from toolbox_computeruse.models import DragRequest
from toolbox_computeruse.models import HeldKeyRequest
from toolbox_computeruse.models import HotkeyRequest
from toolbox_computeruse.models import KeyRequest
from toolbox_computeruse.models import LogQuery
from toolbox_computeruse.models import MoveRequest
from toolbox_computeruse.models import Position
from toolbox_computeruse.models import ProgramErrors
from toolbox_computeruse.models import ProgramLogs
from toolbox_computeruse.models import ProgramRestarted
from toolbox_computeruse.models import ProgramStatus
from toolbox_computeruse.models import RegionQuery
from toolbox_computeruse.models import Screenshot
from toolbox_computeruse.models import ScreenshotQuery
from toolbox_computeruse.models import Scrolled
from toolbox_computeruse.models import ScrollRequest
from toolbox_computeruse.models import StatusWord
from toolbox_computeruse.models import TypeRequest
from toolbox_computeruse.models import Windows
from toolbox_computeruse.settings import ComputerUseSettings

group = Group(
    "computeruse",
    backend=ComputerUseBackend,
    default_backend="x11",
    settings=ComputerUseSettings,
    summary="A desktop to see and drive: screenshots, input, windows, accessibility, recordings",
)

DISPLAY_ERRORS = (DisplayUnavailable, ComputerUseUnavailable)
INPUT_ERRORS = (InvalidInput, InputBusy, *DISPLAY_ERRORS)
GESTURE_ERRORS = (GestureCancelled, *INPUT_ERRORS)


# The desktop


@group.post("/computeruse/start", errors=(ComputerUseUnavailable,))
def start_computer_use(backend: ComputerUseBackend) -> DesktopStatus:
    """Start the desktop and wait until it can be used. What runs already is left alone."""
    return DesktopStatus("the desktop is ready", backend.desktop.start())


@group.post("/computeruse/stop")
def stop_computer_use(backend: ComputerUseBackend) -> DesktopStatus:
    """Stop the desktop and every program of it."""
    return DesktopStatus("the desktop is stopped", backend.desktop.stop())


@group.get("/computeruse/status")
def get_computer_use_system_status(backend: ComputerUseBackend) -> StatusWord:
    """Tell if the desktop is ``active``, ``partial`` or ``inactive``."""
    return StatusWord(backend.desktop.state())


@group.get("/computeruse/process-status")
def get_computer_use_status(backend: ComputerUseBackend) -> StatusWord:
    """Tell if the desktop is ``active``, ``partial`` or ``inactive``, by the name SDKs use."""
    return StatusWord(backend.desktop.state())


@group.get("/computeruse/process/{processName}/status", errors=(ProcessNotFound,))
def get_process_status(
    backend: ComputerUseBackend,
    processName: str,
) -> ProgramStatus:
    """Tell if a program of the desktop runs."""
    return ProgramStatus(processName, backend.desktop.runs(processName))


@group.post(
    "/computeruse/process/{processName}/restart", errors=(ProcessNotFound, ComputerUseUnavailable)
)
def restart_process(
    backend: ComputerUseBackend,
    processName: str,
) -> ProgramRestarted:
    """End a program of the desktop and start it again, or start it if it doesn't run.

    The answer comes when it is ready, so that no window is opened before there is a window
    manager for it.
    """
    backend.desktop.restart(processName)
    return ProgramRestarted(f"{processName} has been started", processName)


@group.get("/computeruse/process/{processName}/logs", errors=(ProcessNotFound,))
def get_process_logs(
    backend: ComputerUseBackend,
    processName: str,
    query: LogQuery,
) -> ProgramLogs:
    """Send what a program of the desktop wrote to standard output."""
    return ProgramLogs(processName, query.last(backend.desktop.output(processName)))


@group.get("/computeruse/process/{processName}/errors", errors=(ProcessNotFound,))
def get_process_errors(
    backend: ComputerUseBackend,
    processName: str,
    query: LogQuery,
) -> ProgramErrors:
    """Send what a program of the desktop wrote to standard error."""
    return ProgramErrors(processName, query.last(backend.desktop.errors(processName)))


# The screen


@group.get("/computeruse/screenshot", errors=DISPLAY_ERRORS)
def take_screenshot(backend: ComputerUseBackend, query: ScreenshotQuery) -> Screenshot:
    """Capture the screen as PNG."""
    return backend.screen.capture(None, query.cursor, "png", 100, 1)


@group.get("/computeruse/screenshot/region", errors=(BadRequest, *DISPLAY_ERRORS))
def take_region_screenshot(backend: ComputerUseBackend, query: RegionQuery) -> Screenshot:
    """Capture a region as PNG; what of it is off the screen is black."""
    region = Region(query.x, query.y, query.width, query.height)
    return backend.screen.capture(region, query.cursor, "png", 100, 1)


@group.get("/computeruse/screenshot/compressed", errors=(BadRequest, *DISPLAY_ERRORS))
def take_compressed_screenshot(backend: ComputerUseBackend, query: CompressedQuery) -> Screenshot:
    """Capture the screen as PNG, JPEG or WebP, scaled down."""
    return backend.screen.capture(None, query.cursor, query.format, query.quality, query.scale)


@group.get("/computeruse/screenshot/region/compressed", errors=(BadRequest, *DISPLAY_ERRORS))
def take_compressed_region_screenshot(
    backend: ComputerUseBackend, query: CompressedRegionQuery
) -> Screenshot:
    """Capture a region as PNG, JPEG or WebP, scaled down."""
    region = Region(query.x, query.y, query.width, query.height)
    return backend.screen.capture(region, query.cursor, query.format, query.quality, query.scale)


# The pointer


@group.get("/computeruse/mouse/position", errors=DISPLAY_ERRORS)
def get_mouse_position(backend: ComputerUseBackend) -> Position:
    """Tell where the pointer is."""
    return backend.mouse.position()


@group.post("/computeruse/mouse/move", errors=INPUT_ERRORS)
def move_mouse(backend: ComputerUseBackend, body: MoveRequest) -> Position:
    """Move the pointer. Coordinates beyond the screen mean its edge."""
    return backend.mouse.move(body.x, body.y)


@group.post("/computeruse/mouse/click", errors=INPUT_ERRORS)
def click(backend: ComputerUseBackend, body: ClickRequest) -> Position:
    """Click, up to ten times as one double, triple ... click."""
    button, modifiers = parse_button(body.button), parse_modifiers(body.modifiers)
    clicks = body.clicks or (2 if body.double else 1)
    return backend.mouse.click(body.x, body.y, button, clicks, modifiers)


@group.post("/computeruse/mouse/drag", errors=GESTURE_ERRORS)
def drag(backend: ComputerUseBackend, body: DragRequest, request: RequestInfo) -> Position:
    """Move the pointer with a button held."""
    start, end = Position(body.start_x, body.start_y), Position(body.end_x, body.end_y)
    button, modifiers = parse_button(body.button), parse_modifiers(body.modifiers)
    return backend.mouse.drag(start, end, button, modifiers, request.client_gone)


@group.post("/computeruse/mouse/scroll", errors=GESTURE_ERRORS)
def scroll(backend: ComputerUseBackend, body: ScrollRequest, request: RequestInfo) -> Scrolled:
    """Turn the wheel up, down, left or right."""
    direction, modifiers = parse_direction(body.direction), parse_modifiers(body.modifiers)
    at, amount = Position(body.x, body.y), body.amount or 1
    backend.mouse.scroll(at, direction, amount, modifiers, request.client_gone)
    return Scrolled(True)


@group.post("/computeruse/mouse/down", errors=INPUT_ERRORS)
def mouse_down(backend: ComputerUseBackend, body: ButtonRequest) -> Position:
    """Hold a button, at a place or where the pointer is."""
    return backend.mouse.down(parse_place(body.x, body.y), parse_button(body.button))


@group.post("/computeruse/mouse/up", errors=INPUT_ERRORS)
def mouse_up(backend: ComputerUseBackend, body: ButtonRequest) -> Position:
    """Let a button go, at a place or where the pointer is."""
    return backend.mouse.up(parse_place(body.x, body.y), parse_button(body.button))


# The keys


@group.post("/computeruse/keyboard/type", errors=GESTURE_ERRORS)
def type_text(backend: ComputerUseBackend, body: TypeRequest, request: RequestInfo) -> Done:
    """Type a text, in any script. Line ends are the Enter key; control characters are refused."""
    text, delay = check_text(body.text), max(0, body.delay or 0) / 1000
    backend.check_gesture(len(text) * delay)
    backend.keyboard.type(text, delay, request.client_gone)
    return Done()


@group.post("/computeruse/keyboard/key", errors=INPUT_ERRORS)
def press_key(backend: ComputerUseBackend, body: KeyRequest) -> Done:
    """Press a key with modifiers."""
    backend.keyboard.press(parse_chord(body.key, body.modifiers))
    return Done()


@group.post("/computeruse/keyboard/hotkey", errors=INPUT_ERRORS)
def press_hotkey(backend: ComputerUseBackend, body: HotkeyRequest) -> Done:
    """Press a combination such as ``ctrl+shift+t``."""
    backend.keyboard.press(parse_hotkey(body.keys))
    return Done()


@group.post("/computeruse/keyboard/down", errors=INPUT_ERRORS)
def key_down(backend: ComputerUseBackend, body: HeldKeyRequest) -> Done:
    """Hold a key until it is let go, or the desktop is stopped."""
    backend.keyboard.down(parse_key(body.key))
    return Done()


@group.post("/computeruse/keyboard/up", errors=INPUT_ERRORS)
def key_up(backend: ComputerUseBackend, body: HeldKeyRequest) -> Done:
    """Let a key go."""
    backend.keyboard.up(parse_key(body.key))
    return Done()


# Monitors and windows


@group.get("/computeruse/display/info", errors=DISPLAY_ERRORS)
def get_display_info(backend: ComputerUseBackend) -> Displays:
    """List the monitors."""
    return Displays(backend.displays.displays())


@group.get("/computeruse/display/windows", errors=DISPLAY_ERRORS)
def get_windows(backend: ComputerUseBackend) -> Windows:
    """List the programs' windows."""
    return Windows(backend.displays.windows())
