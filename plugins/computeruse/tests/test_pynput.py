"""The backend ``pynput``: its capabilities, and its documented limitations."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Desk
from .conftest import Watcher
from .conftest import need_programs

PYNPUT = "1.8.2"


@pytest.fixture(scope="session")
def site(pytestconfig: pytest.Config) -> Path:
    """Return a directory with pynput but without evdev, which must be compiled and isn't needed."""
    assert pytestconfig.cache is not None
    directory = pytestconfig.cache.mkdir(f"pynput-{PYNPUT}")
    with (directory / "lock").open("w") as lock:
        # Several test runs may share the cache.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "installed").exists():
            # The environment of the tests may have no pip.
            subprocess.run([sys.executable, "-m", "venv", directory / "venv"], check=True)
            command = [str(directory / "venv/bin/pip"), "install", "-q", "--no-deps", "--target"]
            subprocess.run([*command, str(directory), f"pynput=={PYNPUT}", "six"], check=True)
            (directory / "installed").touch()
    return directory


@pytest.fixture(scope="module")
def shared_desk(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    need_programs()
    desk = Desk(
        tmp_path_factory.mktemp("desk"), 'backend = "pynput"', env={"PYTHONPATH": str(site)}
    )
    try:
        desk.post("start")
        yield desk
    finally:
        desk.close()


def test_the_pointer(desk: Any, watcher: Watcher) -> None:
    assert desk.post("mouse/move", x=99999, y=-70000) == {"x": 1279, "y": 0}
    at = watcher.at(30, 40)
    assert desk.post("mouse/click", **at, clicks=2, modifiers=["ctrl"]) == at
    assert desk.get("mouse/position") == at
    desk.post("mouse/scroll", **at, direction="left", amount=2)
    desk.post("mouse/drag", startX=at["x"], startY=at["y"], endX=at["x"] + 50, endY=at["y"])
    presses = watcher.wait_for(5, "ButtonPress")
    assert [(each["button"], each["state"] & 4) for each in presses] == [
        *((1, 4), (1, 4), (6, 0), (6, 0), (1, 0))
    ]
    releases = watcher.wait_for(5, "ButtonRelease")
    assert releases[-1]["x"] == 80


def test_keys_by_name_are_real_ones(desk: Any, watcher: Watcher) -> None:
    desk.post("keyboard/hotkey", keys="ctrl+pageup")
    events = watcher.wait_for(4, "KeyPress", "KeyRelease")
    assert [each["key"] for each in events] == ["0xffe3", "0xff55", "0xff55", "0xffe3"]
    for name in ("num7", "f24", "num_plus"):
        error = desk.post("keyboard/key", status=400, key=name)
        assert (error["code"], name in error["message"]) == ("INVALID_INPUT", True)


def test_text_reaches_a_program_that_takes_it(desk: Any, form: Any) -> None:
    [entry] = form.find(role="text")
    desk.post("a11y/node/focus", id=entry["id"])
    desk.wait_for(lambda: "focused" in form.find(role="text")[0]["states"], "the focus")
    text = "Hello, World! ~|{}" * 5
    desk.post("keyboard/type", text=text)
    form.wait_for(f"text {text}")


def test_text_does_not_reach_a_terminal(
    desk: Any, terminal: Any, make_desk: Callable[..., Any]
) -> None:
    desk.post("keyboard/type", text="lost")
    desk.post("keyboard/hotkey", keys="ctrl+c")
    # Keys without characters work, and so does everything from the backend x11.
    desk.post("keyboard/key", key="enter")
    other = make_desk("attach = true", display=desk.display)
    other.post("keyboard/type", text="found")
    assert terminal.typed("\nfound") == "\nfound"


def test_held_keys_are_let_go(desk: Any, watcher: Watcher) -> None:
    desk.post("keyboard/down", key="ctrl")
    desk.post("mouse/click", **watcher.at(10, 10))
    desk.post("keyboard/up", key="ctrl")
    desk.post("mouse/click", **watcher.at(10, 10))
    assert [each["state"] for each in watcher.wait_for(2, "ButtonPress")] == [4, 0]


def test_it_outlives_the_server(desk: Any) -> None:
    pid = desk.post("start")["status"]["xvfb"]["pid"]
    desk.post("keyboard/down", key="shift")
    desk.get("mouse/position")
    os.kill(pid, signal.SIGKILL)
    desk.wait_for(lambda: not Path(f"/proc/{pid}").exists(), "the end")
    response = desk.service.http.get("/computeruse/mouse/position")
    assert response.status_code == 200 or response.json()["code"] == "DISPLAY_UNAVAILABLE"
    desk.post("start")
    assert desk.post("mouse/move", x=5, y=6) == {"x": 5, "y": 6}
    desk.post("stop")
    assert desk.post("mouse/move", status=503, x=5)["code"] == "DISPLAY_UNAVAILABLE"
    assert desk.post("keyboard/type", status=503, text="x")["code"] == "DISPLAY_UNAVAILABLE"
    desk.post("start")


def test_ac_82_without_the_library(make_desk: Callable[..., Any]) -> None:
    desk = make_desk('backend = "pynput"')
    desk.post("start")
    error = desk.post("mouse/move", status=503, x=5)
    assert (error["code"], "pynput" in error["message"]) == ("COMPUTER_USE_UNAVAILABLE", True)
    assert desk.get("screenshot")["width"] == 1280
