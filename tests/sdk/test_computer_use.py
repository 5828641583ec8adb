"""Every method of ``sandbox.computer_use``, by each SDK, on programs that the SDK starts too."""

from __future__ import annotations

import inspect
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daytona import AsyncSandbox
from daytona import Sandbox
from daytona import ScreenshotOptions
from daytona import ScreenshotRegion
from daytona.common.errors import DaytonaA11yUnavailableError
from daytona.common.errors import DaytonaError
from daytona.common.errors import DaytonaProcessNotFoundError
from daytona.common.errors import DaytonaRecordingStillActiveError

from toolbox.testing import DEADLINE
from toolbox.testing import Service

JavaScript = Callable[..., Any]

PARTS = ("", "accessibility", "display", "keyboard", "mouse", "recording", "screenshot")
FORM = Path(__file__).parents[2] / "plugins" / "computeruse" / "tests" / "form.py"
PROGRAMS = ("Xvfb", "openbox", "xterm", "ffmpeg", "dbus-daemon", "gtk-query-settings")

pytestmark = pytest.mark.skipif(
    any(shutil.which(each) is None for each in PROGRAMS),
    reason="Debian packages: xvfb openbox xterm ffmpeg dbus-daemon libgtk-3-bin at-spi2-core",
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a desktop of its own."""
    directory = tmp_path_factory.mktemp("service")
    settings = f"""
        [computeruse]
        display = ":{45000 + os.getpid() % 14000}"
        resolution = "1280x800"
        window_manager = "openbox"
        vnc = false
        start_timeout = 45
        state_dir = "{directory}/state"
        recordings_dir = "{directory}/recordings"
    """
    env = {"LANG": "C.UTF-8", "DBUS_SESSION_BUS_ADDRESS": ""}
    running = Service(directory, settings=settings, env=env)
    yield running
    running.stop()


class Direct:
    """Makes the methods of the sync SDK awaitable, and writes down which were called."""

    def __init__(self, part: Any, prefix: str = "", called: set[str] | None = None) -> None:
        self._part = part
        self._prefix = prefix
        self.called: set[str] = set() if called is None else called

    def __getattr__(self, name: str) -> Any:
        if name in PARTS:
            return Direct(getattr(self._part, name), f"{name}.", self.called)

        async def call(*arguments: Any, **options: Any) -> Any:
            self.called.add(self._prefix + name)
            answer = getattr(self._part, name)(*arguments, **options)
            return await answer if inspect.isawaitable(answer) else answer

        return call


def methods(computer: Any) -> set[str]:
    found = set()
    for name in PARTS:
        part, prefix = (getattr(computer, name), f"{name}.") if name else (computer, "")
        found |= {
            prefix + method
            for method, _ in inspect.getmembers(type(part), inspect.isfunction)
            if not method.startswith("_")
        }
    return found


def turns() -> Iterator[None]:
    """Turns of a loop that waits for something."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        yield
        time.sleep(0.01)
    pytest.fail("it did not happen in time")


class Programs:
    """Programs on the desktop, started as a user would: by commands of the sandbox."""

    def __init__(self, sandbox: Any, service: Service) -> None:
        self._process = Direct(sandbox.process)
        self._service = service
        self.directory = service.work_dir

    async def start(self, *command: str) -> None:
        # The environment of commands names the desktop.
        line = f"nohup {shlex.join(command)} >/dev/null 2>&1 & "
        assert (await self._process.exec(line)).exit_code == 0

    def wait_for(self, file: str, text: str) -> None:
        path = self.directory / file

        def there() -> bool:
            # It may have half of a character yet.
            return path.exists() and text in path.read_text("utf-8", "replace")

        self._service.wait_for(there, repr(text))


async def use_programs(computer: Direct) -> None:
    started = await computer.start()
    assert started.status["xvfb"].running and started.status["xvfb"].auto_restart
    assert (await computer.get_status()).status == "active"
    assert (await computer.get_process_status("xfce4")).running
    assert (await computer.restart_process("xfce4")).process_name == "xfce4"
    assert isinstance((await computer.get_process_logs("xfce4")).logs, str)
    assert isinstance((await computer.get_process_errors("xfce4")).errors, str)
    with pytest.raises(DaytonaProcessNotFoundError):
        await computer.get_process_status("nope")
    await computer.start()


async def use_screen(computer: Direct) -> None:
    screen = computer.screenshot
    await computer.mouse.move(20, 30)
    whole = await screen.take_full_screen(True)
    assert whole.size_bytes and (whole.cursor_position.x, whole.cursor_position.y) == (20, 30)
    part = ScreenshotRegion(x=1, y=2, width=30, height=40)
    assert (await screen.take_region(part)).cursor_position
    small = ScreenshotOptions(fmt="jpeg", quality=50, scale=0.5, show_cursor=True)
    assert (await screen.take_compressed(small)).screenshot
    assert (await screen.take_compressed_region(part, small)).screenshot
    assert (await computer.display.get_info()).displays[0].width == 1280


async def use_input(computer: Direct, programs: Programs, file: str) -> None:
    mouse, keyboard = computer.mouse, computer.keyboard
    script = f"printf '\\033]0;{file}\\007'; stty raw -echo; exec cat > {file}"
    await programs.start("xterm", "-u8", "-e", "sh", "-c", script)
    for _ in turns():
        windows = (await computer.display.get_windows()).windows
        window = next((each for each in windows if each.title == file and each.is_active), None)
        if window is not None:
            break
    assert window is not None
    x, y = window.x + window.width // 2, window.y + window.height // 2
    assert (await mouse.click(x, y, double=True)).to_dict() == {"x": x, "y": y}
    assert (await mouse.get_position()).to_dict() == {"x": x, "y": y}
    await mouse.down(x, y)
    await mouse.up()
    await mouse.drag(x, y, x + 20, y)
    assert await mouse.scroll(x, y, "down", 2)
    await keyboard.type("Grüße, 日本 😀")
    await keyboard.press("a", ["shift"])
    await keyboard.hotkey("ctrl+c")
    await keyboard.down("shift")
    await keyboard.press("z")
    await keyboard.up("shift")
    programs.wait_for(file, "Grüße, 日本 😀A\x03Z")


async def use_recordings(computer: Direct, path: Path) -> None:
    recording = computer.recording
    started = await recording.start("sdk")
    with pytest.raises(DaytonaRecordingStillActiveError):
        await recording.delete(started.id)
    assert (await recording.stop(started.id)).status == "completed"
    assert started.id in [each.id for each in (await recording.list()).recordings]
    await recording.download(started.id, str(path))
    assert (await recording.get(started.id)).size_bytes == path.stat().st_size
    await recording.delete(started.id)


async def use_accessibility(computer: Direct, programs: Programs, file: str) -> None:
    access = computer.accessibility
    await programs.start(sys.executable, str(FORM), file)
    for _ in turns():
        found = (await access.find_nodes(scope="all", name="Press me")).matches
        if found:  # It is on the bus.
            break
    tree = await access.get_tree(scope="all", max_depth=1)
    assert tree.root.id == "org.a11y.atspi.Registry:/org/a11y/atspi/accessible/root"
    await access.invoke_node(found[0].id)
    programs.wait_for(file, "clicked")
    [entry] = (await access.find_nodes(scope="all", role="text", states=["editable"])).matches
    await access.set_node_value(entry.id, "Grüße")
    programs.wait_for(file, "text Grüße")
    await access.focus_node(entry.id)
    with pytest.raises(DaytonaError, match="id"):
        await access.focus_node("x")


async def use_everything(sandbox: Any, service: Service, name: str) -> None:
    computer, programs = Direct(sandbox.computer_use), Programs(sandbox, service)
    await use_programs(computer)
    await use_screen(computer)
    await use_input(computer, programs, f"{name}-typed")
    await use_recordings(computer, service.work_dir / f"{name}.mp4")
    await use_accessibility(computer, programs, f"{name}-form")
    await computer.stop()
    with pytest.raises(DaytonaA11yUnavailableError):
        await computer.accessibility.get_tree()
    assert computer.called == methods(sandbox.computer_use)


@pytest.mark.anyio
async def test_everything(sandbox: Sandbox, service: Service) -> None:
    await use_everything(sandbox, service, "sync")


@pytest.mark.anyio
async def test_everything_async(async_sandbox: AsyncSandbox, service: Service) -> None:
    await use_everything(async_sandbox, service, "async")


RECORDER = """
    const called = new Set(), parts = input.parts.filter(name => sandbox.computerUse[name])
    const record = (object, prefix) => new Proxy(object, { get(target, name) {
        const value = target[name]
        if (parts.includes(name)) return record(value, `${name}.`)
        if (typeof value !== 'function') return value
        called.add(prefix + name)
        return value.bind(target)
    } })
    const methods = ['', ...parts].flatMap(part => {
        const object = part ? sandbox.computerUse[part] : sandbox.computerUse
        return Object.getOwnPropertyNames(Object.getPrototypeOf(object))
            .filter(name => name !== 'constructor' && typeof object[name] === 'function')
            .map(name => part ? `${part}.${name}` : name)
    })
    const computer = record(sandbox.computerUse, '')
"""


def test_everything_typescript(javascript: JavaScript, service: Service, tmp_path: Path) -> None:
    body = """
        const { mouse, keyboard, screenshot, display, recording, accessibility } = computer
        const started = await computer.start()
        const status = (await computer.getStatus()).status
        const running = (await computer.getProcessStatus('xfce4')).running
        const name = (await computer.restartProcess('xfce4')).processName
        const logs = typeof (await computer.getProcessLogs('xfce4')).logs
        const errors = typeof (await computer.getProcessErrors('xfce4')).errors
        await computer.start()
        const programs = [started.status.xvfb.running, status, running, name, logs, errors]

        const region = { x: 10, y: 20, width: 30, height: 40 }
        const options = { format: 'jpeg', quality: 50, scale: 0.5 }
        const images = [
            await screenshot.takeFullScreen(true), await screenshot.takeRegion(region),
            await screenshot.takeCompressed(options),
            await screenshot.takeCompressedRegion(region, options),
        ].map(image => image.sizeBytes > 0)
        const width = (await display.getInfo()).displays[0].width

        await sandbox.process.executeCommand(`nohup ${input.terminal} >/dev/null 2>&1 &`)
        let window
        while (!window) {
            const { windows } = await display.getWindows()
            window = windows.find(each => each.title === 'typed' && each.isActive)
        }
        const x = window.x + 10, y = window.y + 10
        await mouse.move(x, y)
        await mouse.click(x, y, 'left', true)
        await mouse.drag(x, y, x + 20, y)
        const scrolled = await mouse.scroll(x, y, 'up', 2)
        const where = await mouse.getPosition()
        await keyboard.type('Grüße, 日本 😀')
        await keyboard.press('a', ['shift'])
        await keyboard.hotkey('ctrl+c')

        const film = await recording.start('ts')
        const error = await recording.delete(film.id).catch(error => error.constructor.name)
        const stopped = (await recording.stop(film.id)).status
        const found = (await recording.list()).recordings.some(each => each.id === film.id)
        await recording.download(film.id, input.film)
        const size = (await recording.get(film.id)).sizeBytes
        await recording.delete(film.id)

        let nodes = []
        if (accessibility) {
            await sandbox.process.executeCommand(`nohup ${input.form} >/dev/null 2>&1 &`)
            const scope = 'all'
            while (!nodes.length) {
                nodes = (await accessibility.findNodes({ scope, name: 'Press me' })).matches
            }
            await accessibility.getTree({ scope, maxDepth: 1 })
            await accessibility.invokeNode(nodes[0].id)
            const wanted = { scope, role: 'text', states: ['editable'] }
            const [entry] = (await accessibility.findNodes(wanted)).matches
            await accessibility.focusNode(entry.id)
            await accessibility.setNodeValue(entry.id, 'Grüße')
        }
        const missing = methods.filter(name => !called.has(name))
        return { programs, images, width, scrolled, moved: where.x === x + 20 || where.x === x,
            error, stopped, found, size, accessible: Boolean(accessibility), missing }
    """
    script = "printf '\\033]0;typed\\007'; stty raw -echo; exec cat > ts-typed"
    answer = javascript(
        RECORDER + body,
        input={
            "parts": PARTS[1:],
            "terminal": shlex.join(["xterm", "-u8", "-e", "sh", "-c", script]),
            "form": shlex.join([sys.executable, str(FORM), "ts-form"]),
            "film": str(tmp_path / "film.mp4"),
        },
    )
    typed = service.work_dir / "ts-typed"
    service.wait_for(
        lambda: typed.read_text("utf-8", "replace") == "Grüße, 日本 😀A\x03", "what was typed"
    )
    assert answer.pop("size") == (tmp_path / "film.mp4").stat().st_size
    if answer.pop("accessible"):
        form = service.work_dir / "ts-form"
        service.wait_for(
            lambda: form.read_text("utf-8", "replace") == "clicked\ntext Grüße\n", "the form"
        )
    assert answer == {
        "programs": [True, "active", True, "xfce4", "string", "string"],
        "images": [True] * 4,
        "width": 1280,
        "scrolled": True,
        "moved": True,
        "error": "DaytonaRecordingStillActiveError",
        "stopped": "completed",
        "found": True,
        "missing": ["stop"],
    }
    assert javascript("return (await sandbox.computerUse.stop()).message") != ""
