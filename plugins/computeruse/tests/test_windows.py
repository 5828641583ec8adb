"""Monitors and windows, against what the programs themselves asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from Xlib import X
from Xlib import Xatom
from Xlib import Xutil
from Xlib.display import Display
from Xlib.protocol.event import ClientMessage

from .conftest import Watcher


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
    # What is drawn where the window is said to be, is its own.
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
        # As the ICCCM lets programs ask for it.
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
    finally:
        connection.close()
