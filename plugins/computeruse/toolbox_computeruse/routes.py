"""The operations on the desktop, its screen and its input."""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.group import Operations
from toolbox.request import RequestInfo
from toolbox_computeruse.backend import ComputerUseBackend
from toolbox_computeruse.errors import ComputerUseUnavailable
from toolbox_computeruse.errors import DisplayUnavailable
from toolbox_computeruse.errors import GestureCanceled
from toolbox_computeruse.errors import InputBusy
from toolbox_computeruse.errors import InvalidInput
from toolbox_computeruse.errors import ProcessNotFound
from toolbox_computeruse.input.chords import check_text
from toolbox_computeruse.input.chords import parse_chord
from toolbox_computeruse.input.chords import parse_hotkey
from toolbox_computeruse.input.chords import parse_key
from toolbox_computeruse.input.chords import parse_modifiers
from toolbox_computeruse.input.gestures import parse_button
from toolbox_computeruse.input.gestures import parse_direction
from toolbox_computeruse.input.gestures import parse_position
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
from toolbox_computeruse.models import Region
from toolbox_computeruse.models import RegionQuery
from toolbox_computeruse.models import Screenshot
from toolbox_computeruse.models import ScreenshotQuery
from toolbox_computeruse.models import Scrolled
from toolbox_computeruse.models import ScrollRequest
from toolbox_computeruse.models import StatusWord
from toolbox_computeruse.models import TypeRequest
from toolbox_computeruse.models import Windows

operations = Operations()

DISPLAY_ERRORS = (DisplayUnavailable, ComputerUseUnavailable)
INPUT_ERRORS = (InvalidInput, InputBusy, *DISPLAY_ERRORS)
GESTURE_ERRORS = (GestureCanceled, *INPUT_ERRORS)


# The desktop


@operations.post("/computeruse/start", errors=(ComputerUseUnavailable,))
def start_computer_use(backend: ComputerUseBackend) -> DesktopStatus:
    """Start the desktop and wait until it is ready. Programs that already run are left alone."""
    return DesktopStatus("the desktop is ready", backend.desktop.start())


@operations.post("/computeruse/stop")
def stop_computer_use(backend: ComputerUseBackend) -> DesktopStatus:
    """Stop the desktop and all of its programs."""
    return DesktopStatus("the desktop was stopped", backend.desktop.stop())


@operations.get("/computeruse/status")
def get_computer_use_system_status(backend: ComputerUseBackend) -> StatusWord:
    """Report whether the desktop is ``active``, ``partial`` or ``inactive``."""
    return StatusWord(backend.desktop.state())


@operations.get("/computeruse/process-status")
def get_computer_use_status(backend: ComputerUseBackend) -> StatusWord:
    """Report whether the desktop is ``active``, ``partial`` or ``inactive``; the path SDKs use."""
    return StatusWord(backend.desktop.state())


@operations.get("/computeruse/process/{processName}/status", errors=(ProcessNotFound,))
def get_process_status(
    backend: ComputerUseBackend,
    processName: str,
) -> ProgramStatus:
    """Report whether a program of the desktop runs."""
    return ProgramStatus(processName, backend.desktop.runs(processName))


@operations.post(
    "/computeruse/process/{processName}/restart", errors=(ProcessNotFound, ComputerUseUnavailable)
)
def restart_process(
    backend: ComputerUseBackend,
    processName: str,
) -> ProgramRestarted:
    """Restart a program of the desktop, or start it if it isn't running.

    The response comes when the program is ready, so that no window opens without a window manager.
    """
    backend.desktop.restart(processName)
    return ProgramRestarted(f"{processName} was restarted", processName)


@operations.get("/computeruse/process/{processName}/logs", errors=(ProcessNotFound,))
def get_process_logs(
    backend: ComputerUseBackend,
    processName: str,
    query: LogQuery,
) -> ProgramLogs:
    """Return a desktop program's standard output."""
    return ProgramLogs(processName, query.last(backend.desktop.output(processName)))


@operations.get("/computeruse/process/{processName}/errors", errors=(ProcessNotFound,))
def get_process_errors(
    backend: ComputerUseBackend,
    processName: str,
    query: LogQuery,
) -> ProgramErrors:
    """Return a desktop program's standard error."""
    return ProgramErrors(processName, query.last(backend.desktop.errors(processName)))


# The screen


@operations.get("/computeruse/screenshot", errors=DISPLAY_ERRORS)
def take_screenshot(backend: ComputerUseBackend, query: ScreenshotQuery) -> Screenshot:
    """Capture the screen as PNG."""
    return backend.screen.capture(None, query.cursor, "png", 100, 1)


@operations.get("/computeruse/screenshot/region", errors=(BadRequest, *DISPLAY_ERRORS))
def take_region_screenshot(backend: ComputerUseBackend, query: RegionQuery) -> Screenshot:
    """Capture a region as PNG; parts outside the screen are black."""
    region = Region(query.x, query.y, query.width, query.height)
    return backend.screen.capture(region, query.cursor, "png", 100, 1)


@operations.get("/computeruse/screenshot/compressed", errors=(BadRequest, *DISPLAY_ERRORS))
def take_compressed_screenshot(backend: ComputerUseBackend, query: CompressedQuery) -> Screenshot:
    """Capture the screen as PNG, JPEG or WebP, scaled down."""
    return backend.screen.capture(None, query.cursor, query.format, query.quality, query.scale)


@operations.get("/computeruse/screenshot/region/compressed", errors=(BadRequest, *DISPLAY_ERRORS))
def take_compressed_region_screenshot(
    backend: ComputerUseBackend, query: CompressedRegionQuery
) -> Screenshot:
    """Capture a region as PNG, JPEG or WebP, scaled down."""
    region = Region(query.x, query.y, query.width, query.height)
    return backend.screen.capture(region, query.cursor, query.format, query.quality, query.scale)


# The pointer


@operations.get("/computeruse/mouse/position", errors=DISPLAY_ERRORS)
def get_mouse_position(backend: ComputerUseBackend) -> Position:
    """Return the pointer's position."""
    return backend.mouse.position()


@operations.post("/computeruse/mouse/move", errors=INPUT_ERRORS)
def move_mouse(backend: ComputerUseBackend, body: MoveRequest) -> Position:
    """Move the pointer. Coordinates outside the screen are moved to its edge."""
    return backend.mouse.move(body.x, body.y)


@operations.post("/computeruse/mouse/click", errors=INPUT_ERRORS)
def click(backend: ComputerUseBackend, body: ClickRequest) -> Position:
    """Click, up to ten times as one double, triple ... click."""
    button, modifiers = parse_button(body.button), parse_modifiers(body.modifiers)
    clicks = body.clicks or (2 if body.double else 1)
    return backend.mouse.click(body.x, body.y, button, clicks, modifiers)


@operations.post("/computeruse/mouse/drag", errors=GESTURE_ERRORS)
def drag(backend: ComputerUseBackend, body: DragRequest, request: RequestInfo) -> Position:
    """Move the pointer with a button held."""
    start, end = Position(body.start_x, body.start_y), Position(body.end_x, body.end_y)
    button, modifiers = parse_button(body.button), parse_modifiers(body.modifiers)
    return backend.mouse.drag(start, end, button, modifiers, request.is_disconnected)


@operations.post("/computeruse/mouse/scroll", errors=GESTURE_ERRORS)
def scroll(backend: ComputerUseBackend, body: ScrollRequest, request: RequestInfo) -> Scrolled:
    """Turn the wheel up, down, left or right."""
    direction, modifiers = parse_direction(body.direction), parse_modifiers(body.modifiers)
    position, amount = Position(body.x, body.y), body.amount or 1
    backend.mouse.scroll(position, direction, amount, modifiers, request.is_disconnected)
    return Scrolled(True)


@operations.post("/computeruse/mouse/down", errors=INPUT_ERRORS)
def mouse_down(backend: ComputerUseBackend, body: ButtonRequest) -> Position:
    """Press and hold a button, at a position or where the pointer is."""
    return backend.mouse.down(parse_position(body.x, body.y), parse_button(body.button))


@operations.post("/computeruse/mouse/up", errors=INPUT_ERRORS)
def mouse_up(backend: ComputerUseBackend, body: ButtonRequest) -> Position:
    """Release a button, at a position or where the pointer is."""
    return backend.mouse.up(parse_position(body.x, body.y), parse_button(body.button))


# The keyboard


@operations.post("/computeruse/keyboard/type", errors=GESTURE_ERRORS)
def type_text(backend: ComputerUseBackend, body: TypeRequest, request: RequestInfo) -> Done:
    """Type a text in any script. Line ends become the Enter key; control characters are refused."""
    text, delay = check_text(body.text), max(0, body.delay or 0) / 1000
    # Refused at once rather than canceled half way.
    backend.check_gesture(len(text) * delay)
    backend.keyboard.type(text, delay, request.is_disconnected)
    return Done()


@operations.post("/computeruse/keyboard/key", errors=INPUT_ERRORS)
def press_key(backend: ComputerUseBackend, body: KeyRequest) -> Done:
    """Press a key with modifiers."""
    backend.keyboard.press(parse_chord(body.key, body.modifiers))
    return Done()


@operations.post("/computeruse/keyboard/hotkey", errors=INPUT_ERRORS)
def press_hotkey(backend: ComputerUseBackend, body: HotkeyRequest) -> Done:
    """Press a combination such as ``ctrl+shift+t``."""
    backend.keyboard.press(parse_hotkey(body.keys))
    return Done()


@operations.post("/computeruse/keyboard/down", errors=INPUT_ERRORS)
def key_down(backend: ComputerUseBackend, body: HeldKeyRequest) -> Done:
    """Press and hold a key until it is released or the desktop is stopped."""
    backend.keyboard.down(parse_key(body.key))
    return Done()


@operations.post("/computeruse/keyboard/up", errors=INPUT_ERRORS)
def key_up(backend: ComputerUseBackend, body: HeldKeyRequest) -> Done:
    """Release a key."""
    backend.keyboard.up(parse_key(body.key))
    return Done()


# Monitors and windows


@operations.get("/computeruse/display/info", errors=DISPLAY_ERRORS)
def get_display_info(backend: ComputerUseBackend) -> Displays:
    """List the monitors."""
    return Displays(backend.displays.displays())


@operations.get("/computeruse/display/windows", errors=DISPLAY_ERRORS)
def get_windows(backend: ComputerUseBackend) -> Windows:
    """List the windows of programs."""
    return Windows(backend.displays.windows())
