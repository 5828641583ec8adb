"""Monitors and windows, compared with the requests of the programs themselves."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from Xlib import X
from Xlib import Xatom
from Xlib import Xutil
from Xlib.display import Display
from Xlib.protocol.event import ClientMessage

from .conftest import WATCHER
from .conftest import Watcher
from .conftest import alive

MANAGER = Path(__file__).with_name("manager.py")


def test_the_monitor(desk: Any) -> None:
    assert desk.get("display/info") == {
        "displays": [{"id": 0, "x": 0, "y": 0, "width": 1280, "height": 800, "isActive": True}]
    }


def test_windows_are_told_as_they_are(desk: Any) -> None:
    assert desk.get("display/windows") == {"windows": []}
    first = Watcher(desk, "Fenster 窓")
    second = Watcher(desk, "other")
    found = {each["title"]: each for each in desk.get("display/windows")["windows"]}
    assert list(found) == ["Fenster 窓", "other"]
    window = found["Fenster 窓"]
    assert (window["width"], window["height"], window["className"]) == (400, 300, "Watcher")
    assert (window["minimized"], window["desktop"], window["isActive"]) == (False, 0, False)
    assert found["other"]["isActive"]
    # The pixels at the reported position are the window's own.
    desk.post("mouse/click", **first.at(399, 299))
    [press] = first.wait_for(1, "ButtonPress")
    assert (press["x"], press["y"]) == (399, 299)
    assert second.events("ButtonPress") == []


def test_a_window_that_is_moved_and_hidden(desk: Any, watcher: Watcher) -> None:
    connection = Display(desk.display)
    try:
        window = connection.create_resource_object("window", watcher.window["id"])
        window.configure(x=300, y=200, width=500, height=100)
        window.change_property(Xatom.WM_NAME, Xatom.STRING, 8, b"na\xefve")
        window.delete_property(connection.intern_atom("_NET_WM_NAME"))
        connection.sync()

        def told() -> Any:
            [found] = desk.get("display/windows")["windows"]
            return found

        desk.wait_for(lambda: (told()["width"], told()["title"]) == (500, "naïve"), "the change")
        place = window.query_tree().parent
        assert told()["x"] >= place.get_geometry().x > 0
        compound = connection.intern_atom("COMPOUND_TEXT")
        window.change_property(Xatom.WM_NAME, compound, 8, b"a\x1b%G\xe7\xaa\x93\x1b%@b")
        connection.sync()
        desk.wait_for(lambda: told()["title"] == "a窓b", "the title")
        assert told()["minimized"] is False
        # The request to iconify a window in the ICCCM (section 4.1.4).
        change = connection.intern_atom("WM_CHANGE_STATE")
        data = (32, [Xutil.IconicState, 0, 0, 0, 0])
        event = ClientMessage(window=window, client_type=change, data=data)
        mask = X.SubstructureRedirectMask | X.SubstructureNotifyMask
        connection.screen().root.send_event(event, event_mask=mask)
        connection.sync()
        desk.wait_for(lambda: told()["minimized"], "the window to be gone")
        assert told()["isActive"] is False
    finally:
        connection.close()


def test_windows_are_managed_once_the_desktop_is_ready(desk: Any) -> None:
    for number in range(3):
        desk.post("process/xfce4/restart")
        assert Watcher(desk, f"window {number}").window["desktop"] == 0


def test_what_depends_on_the_server_is_there_when_its_restart_is_answered(desk: Any) -> None:
    before = desk.post("start")["status"]
    desk.post("process/xvfb/restart")
    assert desk.get("status") == {"status": "active"}
    window = Watcher(desk, "after").window
    assert window["desktop"] == 0
    after = desk.post("start")["status"]
    for name in ("xvfb", "xfce4"):
        assert after[name]["pid"] not in (None, before[name]["pid"])


def test_windows_are_listed_when_the_window_manager_was_killed(
    make_desk: Callable[..., Any], tmp_path: Path
) -> None:
    """The properties of a killed window manager and of its windows stay on the screen."""
    script = tmp_path / "session"
    script.write_text("#!/bin/sh\ntest -e ran && exec sleep 1000\ntouch ran\nexec openbox\n")
    script.chmod(0o755)
    desk = make_desk(f'window_manager = "{script}"')
    pid = desk.post("start")["status"]["xfce4"]["pid"]
    os.kill(pid, signal.SIGKILL)
    desk.wait_for(lambda: not alive(pid), "the end")
    desk.run(sys.executable, str(WATCHER), "unmanaged", str(tmp_path / "events"))
    desk.wait_for(
        lambda: [each["title"] for each in desk.get("display/windows")["windows"]] == ["unmanaged"],
        "the window",
    )
    desk.end_programs()


@pytest.mark.parametrize("modes", ["", "late"])
def test_a_window_manager_of_the_old_kind(
    make_desk: Callable[..., Any], tmp_path: Path, modes: str
) -> None:
    """A start also waits for a window manager without EWMH, until it manages windows."""
    manager = f"{sys.executable} {MANAGER} {modes}"
    desk = make_desk(f'window_manager = "{manager}"')
    pid = desk.post("start")["status"]["xfce4"]["pid"]
    desk.run(sys.executable, str(WATCHER), "old", str(tmp_path / "events"))
    desk.wait_for(
        lambda: [each["title"] for each in desk.get("display/windows")["windows"]] == ["old"],
        "the window",
    )
    desk.end_programs()
    desk.post("process/xfce4/restart")
    assert desk.post("start")["status"]["xfce4"]["pid"] not in (None, pid)


def test_without_a_window_manager(make_desk: Callable[..., Any]) -> None:
    desk = make_desk('window_manager = "none"')
    desk.post("start")
    assert desk.get("status") == {"status": "active"}
    connection = Display(desk.display)
    try:
        window = connection.screen().root.create_window(10, 20, 30, 40, 0, 24)
        hidden = connection.screen().root.create_window(10, 20, 30, 40, 0, 24)
        window.set_wm_name("bare")
        window.map()
        connection.sync()
        [found] = desk.get("display/windows")["windows"]
        assert (found["id"], found["title"], found["x"], found["y"]) == (window.id, "bare", 10, 20)
        assert hidden.id != window.id
        # The active window is the one that receives the keys.
        for focus, active in ((window, True), (X.PointerRoot, False)):
            connection.set_input_focus(focus, X.RevertToNone, X.CurrentTime)
            connection.sync()
            [found] = desk.get("display/windows")["windows"]
            assert found["isActive"] is active
    finally:
        connection.close()
