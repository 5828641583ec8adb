"""Fixtures of the computer-use tests: real desktops and programs on them."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import pytest

from toolbox.linux.procfs import is_alive
from toolbox.linux.procfs import read_state
from toolbox.testing import Service
from toolbox.testing import end_tree

FORM = Path(__file__).with_name("form.py")
WATCHER = Path(__file__).with_name("watcher.py")

_numbers = itertools.count(100 + os.getpid() % 400 * 100)
"""Display numbers that concurrent test runs don't use."""


def free_display() -> str:
    """Return the name of an unused display."""
    number = next(n for n in _numbers if not Path(f"/tmp/.X11-unix/X{n}").exists())
    return f":{number}"


def free_port() -> int:
    """Return an unused TCP port below the range from which the kernel assigns ports."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


alive = is_alive


class Desk:
    """A service with a desktop for one test or module."""

    def __init__(self, directory: Path, options: str = "", **arguments: Any) -> None:
        self.display = arguments.pop("display", None) or free_display()
        self.directory = directory
        self.recordings = directory / "recordings"
        settings = "\n".join(
            [
                "[computeruse]",
                f'display = "{self.display}"',
                f'state_dir = "{directory}/state"',
                f'recordings_dir = "{self.recordings}"',
                *([] if "resolution" in options else ['resolution = "1280x800"']),
                *([] if "vnc" in options else ["vnc = false"]),
                *([] if "window_manager" in options else ['window_manager = "openbox"']),
                *([] if "start_timeout" in options else ["start_timeout = 45"]),
                options,
            ]
        )
        env = {"LANG": "C.UTF-8", "DBUS_SESSION_BUS_ADDRESS": "", **arguments.pop("env", {})}
        self.service = Service(directory, settings=settings, env=env, **arguments)
        self.programs: list[subprocess.Popen[bytes]] = []

    def get(self, path: str, status: int = 200, **query: Any) -> Any:
        """Send a GET request, check the status and return the body."""
        response = self.service.http.get(f"/computeruse/{path}", params=query)
        assert response.status_code == status, response.text
        return response.json()

    def post(self, path: str, status: int = 200, **body: Any) -> Any:
        """Send a POST request, check the status and return the body."""
        response = self.service.http.post(f"/computeruse/{path}", json=body)
        assert response.status_code == status, response.text
        return response.json()

    def run(self, *command: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a program on the desktop; :meth:`close` terminates it."""
        program = subprocess.Popen(
            command,
            env={**os.environ, "LANG": "C.UTF-8", "DISPLAY": self.display, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.programs.append(program)
        return program

    def window(self, title: str) -> Any:
        """Wait for the active window with this title and return it."""
        found: list[Any] = []

        def look() -> bool:
            windows = self.get("display/windows")["windows"]
            found[:] = [each for each in windows if each["title"] == title]
            return bool(found and found[0]["isActive"])

        self.service.wait_for(look, f"the window {title!r}")
        return found[0]

    def wait_for(self, condition: Callable[[], object], what: str = "it") -> None:
        """Wait until ``condition()`` is true."""
        self.service.wait_for(condition, what)

    def end_programs(self) -> None:
        """Terminate the programs that :meth:`run` has started."""
        for program in self.programs:
            end_tree(program)
        self.programs.clear()

    def close(self) -> None:
        """Stop the programs and the service."""
        try:
            self.end_programs()
        finally:
            self.service.stop()


class Watcher:
    """A program with a window that logs its events."""

    def __init__(self, desk: Desk, title: str = "watcher") -> None:
        self.desk = desk
        self.file = desk.directory / f"{title}.jsonl"
        self.file.unlink(missing_ok=True)
        desk.run(sys.executable, str(WATCHER), title, str(self.file))
        self.window = desk.window(title)
        desk.wait_for(lambda: self.events("Expose"), "the window to be drawn")

    def events(self, *kinds: str) -> list[Any]:
        """Return the events of these kinds so far."""
        text = self.file.read_text() if self.file.exists() else ""
        found = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
        return [each for each in found if each["type"] in kinds]

    def wait_for(self, count: int, *kinds: str) -> list[Any]:
        """Wait for ``count`` events of these kinds and return them."""
        self.desk.wait_for(lambda: len(self.events(*kinds)) >= count, f"{count} of {kinds}")
        return self.events(*kinds)

    def at(self, x: int, y: int) -> dict[str, int]:
        """Return a position in the window, in pixels of the screen."""
        return {"x": self.window["x"] + x, "y": self.window["y"] + y}


def session_bus(desk: Desk) -> str:
    """Return the address of the desktop's D-Bus session bus."""
    pid = desk.post("start")["status"]["xfce4"]["pid"]
    environ = Path(f"/proc/{pid}/environ").read_text().split("\0")
    variables = dict(each.split("=", 1) for each in environ if "=" in each)
    return variables["DBUS_SESSION_BUS_ADDRESS"]


class Form:
    """A program with widgets, on the accessibility bus."""

    def __init__(self, desk: Desk, directory: Path) -> None:
        self.desk = desk
        self.file = directory / "events"
        self.program = desk.run(
            *(sys.executable, str(FORM), str(self.file)),
            env={"DBUS_SESSION_BUS_ADDRESS": session_bus(desk)},
        )
        desk.window("Form")
        desk.wait_for(lambda: self.find(name="Press me"), "the button on the bus")

    def find(self, status: int = 200, **wanted: Any) -> Any:
        scope = {"scope": "pid", "pid": self.program.pid}
        response = self.desk.service.http.post("/computeruse/a11y/find", json={**scope, **wanted})
        if response.status_code == 404:  # The program isn't on the bus yet.
            return []
        return response.json()["matches"]

    def wait_for(self, line: str) -> None:
        self.desk.wait_for(
            lambda: self.file.exists() and line in self.file.read_text().splitlines(), line
        )


class Terminal:
    """An xterm that stores its input."""

    def __init__(self, desk: Desk, directory: Path) -> None:
        self.desk = desk
        self.file = directory / "typed"
        # Raw, because a terminal in canonical mode limits lines to 4096 bytes (termios(3)).
        script = f"stty raw -echo; printf '\\033]0;ready\\007'; exec cat > {self.file}"
        desk.run("xterm", "-u8", "-xrm", "*wmTimeout: 200", "-e", "sh", "-c", script)
        desk.window("ready")

    def typed(self, text: str) -> str:
        """Wait for as many characters as ``text`` has, or a timeout; return those received."""
        size = len(text.encode())
        with contextlib.suppress(AssertionError):
            self.desk.wait_for(lambda: self.file.stat().st_size >= size)
        return self.file.read_text().replace("\r", "\n")


def need_programs() -> None:
    """Skip the test if a desktop can't run."""
    if shutil.which("Xvfb") is None or shutil.which("openbox") is None:
        pytest.skip("Xvfb or openbox is not installed (Debian: xvfb, openbox)")


def need_gtk() -> None:
    """Skip the test if GTK programs can't run."""
    if find_library("gtk-3") is None or shutil.which("dbus-daemon") is None:
        pytest.skip("GTK 3 or dbus-daemon is not installed (Debian: libgtk-3-bin, dbus-daemon)")


@pytest.fixture(scope="module")
def shared_desk() -> Iterator[Desk]:
    """Start a desktop for all tests of a module."""
    need_programs()
    directory = Path(tempfile.mkdtemp(prefix="toolbox-test-"))
    desk = Desk(directory)
    try:
        desk.post("start")
        yield desk
    finally:
        desk.close()
        shutil.rmtree(directory, ignore_errors=True)


def wait_for_manager(desk: Desk) -> None:
    """Wait until openbox sleeps: it takes a while to process new keyboard maps."""
    pid = desk.post("start")["status"]["xfce4"]["pid"]
    looks = []

    def sleeps() -> bool:
        looks.append(read_state(pid) == "S")
        return looks[-5:] == [True] * 5

    desk.wait_for(sleeps, "the window manager to be done")


@pytest.fixture
def desk(shared_desk: Desk) -> Iterator[Desk]:
    """Return a running desktop without windows."""
    wait_for_manager(shared_desk)
    yield shared_desk
    shared_desk.end_programs()
    shared_desk.wait_for(lambda: not shared_desk.get("display/windows")["windows"], "no window")


@pytest.fixture
def watcher(desk: Desk) -> Watcher:
    """Open a window on the desktop that logs its events."""
    return Watcher(desk)


@pytest.fixture
def form(desk: Desk, tmp_path: Path) -> Form:
    """Start a program with widgets on the desktop."""
    need_gtk()
    return Form(desk, tmp_path)


@pytest.fixture
def terminal(desk: Desk, tmp_path: Path) -> Terminal:
    """Open a terminal on the desktop."""
    if shutil.which("xterm") is None:
        pytest.skip("xterm is not installed (Debian: xterm)")
    return Terminal(desk, tmp_path)


@pytest.fixture
def make_desk(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """Return a function that makes desktops, not started yet, for one test."""
    need_programs()
    numbers = itertools.count()
    with contextlib.ExitStack() as made:  # Closes each one, even if closing another fails.

        def make(options: str = "", **arguments: Any) -> Desk:
            desk = Desk(tmp_path / f"desk-{next(numbers)}", options, **arguments)
            made.callback(desk.close)
            return desk

        yield make
