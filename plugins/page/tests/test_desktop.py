"""The page's desktop in a real browser: started, seen, driven by mouse and keys, and recorded."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toolbox.testing import Service
from toolbox.testing import end_tree

STATE = "document.getElementById('desktop-state').textContent"
ERROR = "document.getElementById('desktop-error').textContent"
VIDEO = "document.getElementById('recording-video')"
FOCUSED = "document.activeElement.id"

WATCHER = Path(__file__).parents[2] / "computeruse" / "tests" / "watcher.py"
"""A window of 400 x 300 pixels in four colors that logs its events as JSON."""

ALT, CONTROL, SHIFT = 1, 2, 8
LEFT, RIGHT = ("left", 1), ("right", 2)
"""A button's name and its bit."""

COLOR = """(x, y) => {
  const it = document.getElementById('desktop-picture');
  const brush = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const ratio = it.width / 1000;
  brush.drawImage(it, x * ratio, y * ratio, 1, 1, 0, 0, 1, 1);
  return [...brush.getImageData(0, 0, 1, 1).data].slice(0, 3);
}"""
"""The color that the page shows for a pixel of the desktop."""

PLACE = """(x, y) => {
  const box = document.getElementById('desktop-picture').getBoundingClientRect();
  const ratio = Math.min(box.width / 1000, box.height / 700);
  return [box.x + (box.width - 1000 * ratio) / 2 + (x + .5) * ratio,
    box.y + (box.height - 700 * ratio) / 2 + (y + .5) * ratio];
}"""
"""The place in the browser's window of a pixel of the desktop."""

_numbers = itertools.count(20_000 + os.getpid() % 4000)


class Desktop:
    """A service with a desktop of 1000 x 700 pixels, as it is seen in the browser."""

    def __init__(self, browser: Any, directory: Path) -> None:
        self.browser = browser
        self.directory = directory
        self.display = next(
            f":{number}" for number in _numbers if not Path(f"/tmp/.X11-unix/X{number}").exists()
        )
        self.programs: list[subprocess.Popen[bytes]] = []
        self.service = self._serve("0")

    def _serve(self, port: str) -> Service:
        settings = [
            "[log]\naccess = true\n[computeruse]",
            f'display = "{self.display}"\nstate_dir = "{self.directory}/state"\nvnc = false',
            f'recordings_dir = "{self.directory}/recordings"\nresolution = "1000x700"',
            'window_manager = "openbox"\nstart_timeout = 45',
        ]
        env = {"DBUS_SESSION_BUS_ADDRESS": ""}
        return Service(self.directory, "--port", port, settings="\n".join(settings), env=env)

    def restart(self) -> None:
        """Restart the service, with which the desktop ends."""
        self.service.stop()
        self.service = self._serve(str(self.service.port))

    def open(self) -> None:
        """Show the desktop, not necessarily running."""
        self.browser.resize(1280, 800)
        self.browser.log_in(f"{self.service.url}/", str(self.service.token))
        self.browser.wait_for("!document.getElementById('desktop-link').hidden")
        self.browser.show("desktop")
        self.browser.wait_for(f"{STATE} !== ''")

    def start(self) -> None:
        """Show the desktop and start it by the button, unless it runs."""
        self.open()
        if self.browser.evaluate(STATE) != "running":
            self.browser.click("#desktop-start")
        self.browser.wait_for(f"{STATE} === 'running'")

    def run(self, *command: str) -> None:
        """Start a program on the desktop."""
        env = {**os.environ, "LANG": "C.UTF-8", "DISPLAY": self.display}
        self.programs.append(subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL))

    def window(self, title: str) -> dict[str, Any]:
        """Wait for the active window with this title, and return it."""
        found: list[dict[str, Any]] = []

        def look() -> bool:
            windows = self.service.http.get("/computeruse/display/windows").json()["windows"]
            found[:] = [one for one in windows if one["title"] == title and one["isActive"]]
            return bool(found)

        self.service.wait_for(look, f"the window {title!r}")
        return found[0]

    def mouse(self, kind: str, x: int, y: int, button: tuple[str, int], **more: Any) -> None:
        """Do something with the mouse at a pixel of the desktop."""
        at = self.browser.evaluate(f"({PLACE})({x}, {y})")
        name, bit = button
        pressed = bit if kind != "mouseReleased" else 0
        self.browser.call(
            "Input.dispatchMouseEvent",
            **{"type": kind, "x": at[0], "y": at[1], "button": name, "buttons": pressed, **more},
        )

    def click(self, x: int, y: int, button: tuple[str, int] = LEFT, **more: Any) -> None:
        """Click on a pixel of the desktop."""
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button, clickCount=1, **more)

    def fingers(self, kind: str, points: list[tuple[int, int]]) -> None:
        """Put fingers on pixels of the desktop, move them there, or lift them all."""
        places = [self.browser.evaluate(f"({PLACE})({x}, {y})") for x, y in points]
        touches = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        self.browser.call("Input.dispatchTouchEvent", type=kind, touchPoints=touches)

    def close(self) -> None:
        for program in self.programs:
            end_tree(program)
        self.service.stop()


class Watched:
    """The window of :data:`WATCHER`."""

    def __init__(self, desktop: Desktop) -> None:
        self.desktop = desktop
        self.file = desktop.directory / "events.jsonl"
        desktop.run(sys.executable, str(WATCHER), "watched", str(self.file))
        window = desktop.window("watched")
        self.left, self.top = window["x"], window["y"]

    def has(self, **wanted: Any) -> bool:
        """Report whether there was an event with these properties."""
        lines = self.file.read_text().splitlines(keepends=True) if self.file.exists() else []
        events = [json.loads(line) for line in lines if line.endswith("\n")]
        return any(wanted.items() <= event.items() for event in events)

    def wait_for(self, **wanted: Any) -> None:
        """Wait for an event with these properties."""
        self.desktop.service.wait_for(lambda: self.has(**wanted), str(wanted))

    def touch(self, *steps: list[tuple[int, int]], wanted: dict[str, Any]) -> None:
        """Move fingers over pixels of the window and lift them, until there was an event: on a busy
        machine a gesture may come so slowly that it means another one.
        """

        def gesture() -> bool:
            self.desktop.fingers("touchStart", self.at(steps[0]))
            for points in steps[1:]:
                self.desktop.fingers("touchMove", self.at(points))
            self.desktop.fingers("touchEnd", [])
            deadline = time.monotonic() + 5
            while not self.has(**wanted) and time.monotonic() < deadline:
                time.sleep(0.02)
            return self.has(**wanted)

        self.desktop.service.wait_for(gesture, str(wanted))

    def at(self, points: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return the pixels of the desktop for those of the window."""
        return [(self.left + x, self.top + y) for x, y in points]


@pytest.fixture(scope="module")
def shared(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desktop]:
    if shutil.which("Xvfb") is None or shutil.which("openbox") is None:
        pytest.skip("Xvfb or openbox is not installed (Debian: xvfb, openbox)")
    desktop = Desktop(browser, tmp_path_factory.mktemp("desktop"))
    try:
        yield desktop
    finally:
        desktop.close()


@pytest.fixture
def desktop(shared: Desktop) -> Iterator[Desktop]:
    """The desktop, running and shown; its programs end with the test."""
    shared.start()
    shared.browser.wait_for("!document.getElementById('desktop-picture').inert")
    yield shared
    for program in shared.programs:
        end_tree(program)
    shared.programs.clear()


def test_a_desktop_from_its_start_to_its_stop(shared: Desktop) -> None:
    browser = shared.browser
    shared.open()
    browser.wait_for(f"{STATE} === 'not running'")
    assert browser.evaluate("document.getElementById('desktop-stop').hidden") is True
    browser.click("#desktop-start")
    browser.wait_for(f"{STATE} === 'running'")
    browser.wait_for("document.getElementById('desktop-size').textContent === '1000 \\u00d7 700'")
    assert shared.service.http.get("/computeruse/status").json() == {"status": "active"}
    browser.click("#desktop-stop")
    browser.wait_for(f"{STATE} === 'not running'")
    assert browser.evaluate("document.getElementById('desktop-picture').hidden") is True
    assert shared.service.http.get("/computeruse/status").json() == {"status": "inactive"}
    assert browser.complaints() == []


def test_the_desktop_is_seen_and_driven_by_the_mouse(desktop: Desktop) -> None:
    watched = Watched(desktop)
    left, top = watched.left, watched.top
    for x, y, color in ((50, 50, "255,0,0"), (350, 50, "0,255,0"), (50, 250, "0,0,255")):
        shown = f"({COLOR})({left + x}, {top + y})"
        # JPEG: not quite the color that was drawn.
        near = f"{shown}.every((part, index) => Math.abs(part - [{color}][index]) < 40)"
        desktop.browser.wait_for(near)
    desktop.click(left + 30, top + 40)
    watched.wait_for(type="ButtonPress", button=1, x=30, y=40, state=0)
    watched.wait_for(type="ButtonRelease", button=1, x=30, y=40)
    desktop.click(left + 60, top + 70, RIGHT, modifiers=CONTROL)
    watched.wait_for(type="ButtonPress", button=3, x=60, y=70, state=4)
    watched.wait_for(type="KeyRelease", key="0xffe3")  # Control, which must not stay held.
    desktop.mouse("mousePressed", left + 100, top + 100, LEFT, clickCount=1)
    desktop.mouse("mouseMoved", left + 150, top + 120, LEFT)
    desktop.mouse("mouseReleased", left + 150, top + 120, LEFT, clickCount=1)
    watched.wait_for(type="ButtonPress", button=1, x=100, y=100)
    watched.wait_for(type="MotionNotify", x=150, y=120)
    watched.wait_for(type="ButtonRelease", button=1, x=150, y=120)
    desktop.mouse("mouseWheel", left + 80, top + 90, ("none", 0), deltaX=0, deltaY=100)
    watched.wait_for(type="ButtonPress", button=5, x=80, y=90)
    desktop.mouse("mouseWheel", left + 80, top + 90, ("none", 0), deltaX=-100, deltaY=0)
    watched.wait_for(type="ButtonPress", button=6, x=80, y=90)
    assert desktop.browser.complaints() == []


def test_the_desktop_is_driven_by_fingers(desktop: Desktop) -> None:
    watched = Watched(desktop)
    page = desktop.browser
    page.evaluate("document.activeElement.blur()")
    try:
        page.call("Emulation.setTouchEmulationEnabled", enabled=True)
        desktop.fingers("touchStart", watched.at([(60, 70)]))
        watched.wait_for(type="ButtonPress", button=3, x=60, y=70)
        desktop.fingers("touchEnd", [])
        pressed = {"type": "ButtonPress", "button": 1}
        watched.touch([(30, 40)], wanted={**pressed, "x": 30, "y": 40})
        # A phone's keyboard would cover the picture.
        assert page.evaluate(FOCUSED) != "desktop-keys"
        path = [[(100, 100)], [(130, 110)], [(150, 120)]]
        watched.touch(*path, wanted={**pressed, "x": 100, "y": 100})
        watched.wait_for(type="MotionNotify", x=150, y=120)
        watched.wait_for(type="ButtonRelease", button=1, x=150, y=120)
        both = [[(100, 200), (200, 200)], [(100, 100), (200, 100)]]
        watched.touch(*both, wanted={"type": "ButtonPress", "button": 5})
    finally:
        page.call("Emulation.setTouchEmulationEnabled", enabled=False)
    assert page.complaints() == []


def test_without_a_click_the_mouse_of_who_only_looks_changes_nothing(desktop: Desktop) -> None:
    def position() -> Any:
        return desktop.service.http.get("/computeruse/mouse/position").json()

    before, written = position(), len(desktop.service.log())
    desktop.mouse("mouseMoved", 500, 400, ("none", 0))
    desktop.mouse("mouseMoved", 510, 400, ("none", 0))
    desktop.click(100, 100)
    desktop.service.wait_for(lambda: position() != before, "the click")
    # What is done comes in order: moves would have been sent before.
    assert "mouse/move" not in desktop.service.log()[written:].partition("mouse/down")[0]
    desktop.mouse("mouseMoved", 300, 200, ("none", 0))
    desktop.service.wait_for(lambda: position() == {"x": 300, "y": 200}, "the pointer to move")


@pytest.fixture
def typed(desktop: Desktop, tmp_path: Path) -> Callable[[str], None]:
    """A terminal that has the desktop's keys; waits until it has got a text."""
    if shutil.which("xterm") is None:
        pytest.skip("xterm is not installed (Debian: xterm)")
    file = tmp_path / "typed"
    script = f"stty raw -echo; printf '\\033]0;reads\\007'; exec cat > {file}"
    desktop.run("xterm", "-u8", "-geometry", "80x24+50+50", "-e", "sh", "-c", script)
    window = desktop.window("reads")
    desktop.click(window["x"] + 100, window["y"] + 100)
    desktop.browser.wait_for(f"{FOCUSED} === 'desktop-keys'")

    def wait(text: str) -> None:
        with contextlib.suppress(AssertionError):  # The comparison tells more.
            desktop.service.wait_for(lambda: len(file.read_bytes()) >= len(text.encode()))
        assert file.read_bytes().decode() == text

    return wait


def test_the_desktop_is_driven_by_the_keyboard(
    desktop: Desktop, typed: Callable[[str], None]
) -> None:
    page = desktop.browser
    page.press("a", 65, {"text": "a"})
    page.press("Q", 81, {"text": "Q", "modifiers": SHIFT})
    page.type("ß日本語🙂")  # As an input method does it.
    typed("aQß日本語🙂")
    page.enter()
    page.press("Tab", 9, {})
    page.press("ArrowUp", 38, {})
    page.press("c", 67, {"code": "KeyC", "modifiers": CONTROL})
    # By the place of the key, where its letter is none of those that make a chord.
    page.press("в", 68, {"code": "KeyD", "modifiers": CONTROL})
    expected = "aQß日本語🙂\r\t\x1b[A\x03\x04"
    typed(expected)
    # Of those who can't press it, or whose browser keeps it to itself.
    page.click("#desktop-press")
    typed(expected + "\x1b")
    page.click("#desktop-text")
    page.wait_for("document.getElementById('question').open")
    page.type("one\ttwo")
    page.enter()
    typed(expected + "\x1bone\ttwo")
    page.wait_for(f"{FOCUSED} === 'desktop-keys'")
    # Tab is the desktop's: another way leads out.
    page.press("Escape", 27, {"modifiers": CONTROL | ALT})
    page.wait_for(f"{FOCUSED} === 'desktop-text'")
    assert page.complaints() == []


def test_the_clipboard_is_typed(desktop: Desktop, typed: Callable[[str], None]) -> None:
    page = desktop.browser
    page.grant_clipboard()
    page.evaluate("navigator.clipboard.writeText('from här')")
    page.press_with_control("v", "paste", shift=True)
    typed("from här")


def requests(path: str) -> str:
    """The number of requests for a path that the page has made, in JavaScript."""
    entries = "performance.getEntriesByType('resource')"
    return f"{entries}.filter(({{ name }}) => name.includes({json.dumps(path)})).length"


def test_a_view_that_nobody_sees_asks_for_nothing(desktop: Desktop) -> None:
    page = desktop.browser

    def change(x: int) -> None:
        """Move the pointer, and watch until the screen has been still for a while."""
        http, path = desktop.service.http, "/x/computeruse/screen"
        assert http.post("/computeruse/mouse/move", json={"x": x, "y": 5}).status_code == 200
        headers: dict[str, str] = {}
        while (
            response := http.get(path, params={"wait": 0.5}, headers=headers)
        ).status_code == 200:
            headers = {"If-None-Match": response.headers["ETag"]}
        assert response.status_code == 304

    looks = requests("computeruse/screen")
    before = page.evaluate(looks)
    change(5)
    assert page.evaluate(looks) > before
    page.show("jobs")
    page.wait_for("!document.getElementById('job-form').hidden")
    change(6)  # Meanwhile the request that was under way has ended.
    before = page.evaluate(looks)
    change(7)
    assert page.evaluate(looks) == before
    page.show("desktop")
    page.wait_for(f"{looks} > {before}")
    other = page.call("Target.createTarget", url="about:blank")["targetId"]
    try:
        page.wait_for("document.hidden")
        change(8)
        before = page.evaluate(looks)
        change(9)
        assert page.evaluate(looks) == before
    finally:
        page.call("Target.closeTarget", targetId=other)
    page.wait_for(f"!document.hidden && {looks} > {before}")


def test_the_view_comes_back_after_a_restart_of_the_service(desktop: Desktop) -> None:
    page = desktop.browser
    desktop.restart()
    page.wait_for(f"{STATE} === 'not running' && {ERROR} === ''")
    page.click("#desktop-start")
    page.wait_for(f"{STATE} === 'running'")
    watched = Watched(desktop)
    page.wait_for(f"({COLOR})({watched.left + 20}, {watched.top + 20})[0] > 200")


def test_a_recording_is_made_played_saved_and_deleted(desktop: Desktop, tmp_path: Path) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed (Debian: ffmpeg)")
    page = desktop.browser
    page.click("#desktop-record")
    button = "document.getElementById('desktop-record').textContent"
    page.wait_for(f"{button}.startsWith('Stop recording (2.') || {button}.includes('(3.')")
    page.click("#desktop-record")
    page.wait_for(f"{button} === 'Record'")
    page.click('#desktop a[href="#desktop/recordings"]')
    page.wait_for("document.querySelectorAll('#recording-rows tr').length === 1")
    page.click_at("document.querySelector('#recording-rows a')")
    page.wait_for(f"{VIDEO}.readyState > 1 && {VIDEO}.duration > 1")
    assert page.evaluate(f"[{VIDEO}.videoWidth, {VIDEO}.videoHeight]") == [1000, 700]
    # The keys of the browser's own player: its buttons are not the page's.
    page.evaluate(f"{VIDEO}.focus()")
    page.press(" ", 32, {"text": " ", "code": "Space"})
    page.wait_for(f"{VIDEO}.currentTime > 0.3")
    page.press("End", 35, {})
    page.wait_for(f"{VIDEO}.ended")
    assert " 206 " in desktop.service.log(), "fetched by ranges"
    page.save_downloads(tmp_path)
    page.click("#recording-save")
    (recording,) = desktop.service.http.get("/computeruse/recordings").json()["recordings"]
    original = Path(recording["filePath"])
    saved = tmp_path / original.name
    desktop.service.wait_for(
        lambda: saved.exists() and saved.read_bytes() == original.read_bytes(), "the download"
    )
    page.click("#recording-delete")
    page.wait_for("document.getElementById('question').open")
    page.press("Tab", 9, {})
    page.enter()
    page.wait_for("!document.getElementById('recordings-none').hidden")
    assert not original.exists()
    assert page.complaints() == []


def test_what_is_missing_is_told(
    browser: Any, make_service: Callable[..., Service], tmp_path: Path
) -> None:
    settings = '[computeruse]\ndisplay = ":9999"\n'
    service = make_service(settings=settings, env={"PATH": str(tmp_path)})
    browser.log_in(f"{service.url}/#desktop", str(service.token))
    browser.wait_for("!document.getElementById('desktop-off').hidden")
    browser.click("#desktop-start")
    browser.wait_for(f"{ERROR} === 'Xvfb is not installed (Debian package xvfb).'")


def test_on_a_phone_the_desktop_has_the_room(desktop: Desktop) -> None:
    page = desktop.browser
    try:
        for scheme, dark in (("dark", True), ("light", False)):
            page.prefer(scheme)
            page.resize(400, 800)
            page.wait_for("document.getElementById('desktop-picture').clientWidth > 380")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            for part in page.evaluate(
                "Array.from(document.querySelectorAll('#desktop .toolbar :is(button, a, select)'),"
                " each => [each.textContent, each.getBoundingClientRect()])"
                ".filter(([, box]) => box.width).map(([text, box]) => [text, box.left, box.right])"
            ):
                assert 0 <= part[1] < part[2] <= 400, part
            page.wait_for_colors("#desktop-text", dark=dark)
    finally:
        page.prefer("")
        page.resize(1280, 800)
