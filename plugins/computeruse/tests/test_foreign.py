"""Another user's desktop: it is neither read nor changed, unless attach is set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .conftest import need_gtk
from .conftest import session_bus

OPERATIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "start", {}),
    ("GET", "screenshot", {}),
    ("GET", "screenshot/region?x=0&y=0&width=9&height=9", {}),
    ("GET", "screenshot/compressed", {}),
    ("GET", "screenshot/region/compressed?x=0&y=0&width=9&height=9", {}),
    ("GET", "display/info", {}),
    ("GET", "display/windows", {}),
    ("GET", "mouse/position", {}),
    ("POST", "mouse/move", {"x": 3, "y": 4}),
    ("POST", "mouse/click", {"x": 3, "y": 4}),
    ("POST", "mouse/drag", {"startX": 3, "startY": 4, "endX": 5, "endY": 6}),
    ("POST", "mouse/scroll", {"x": 3, "y": 4, "direction": "up"}),
    ("POST", "mouse/down", {}),
    ("POST", "mouse/up", {}),
    ("POST", "keyboard/type", {"text": "x"}),
    ("POST", "keyboard/key", {"key": "x"}),
    ("POST", "keyboard/hotkey", {"keys": "ctrl+x"}),
    ("POST", "keyboard/down", {"key": "x"}),
    ("POST", "keyboard/up", {"key": "x"}),
    ("POST", "recordings/start", {}),
]


def test_nothing_of_a_foreign_desktop_is_seen_or_touched(make_desk: Callable[..., Any]) -> None:
    """F-F3: its X server and its session bus have the addresses that ours would have."""
    need_gtk()
    foreign = make_desk()
    bus = session_bus(foreign)
    foreign.post("mouse/move", x=100, y=200)
    desk = make_desk(display=foreign.display, env={"DBUS_SESSION_BUS_ADDRESS": bus})
    for method, path, body in OPERATIONS:
        response = desk.service.http.request(
            method, f"/computeruse/{path}", json=body if method == "POST" else None
        )
        assert response.status_code == 503, (path, response.text)
        assert response.json()["code"] == "COMPUTER_USE_UNAVAILABLE", path
        assert "belongs to another X server" in response.json()["message"]
    found = desk.get("a11y/tree", status=503, scope="all")
    assert found["code"] == "A11Y_UNAVAILABLE"
    desk.post("a11y/find", status=503, scope="all")
    root = foreign.get("a11y/tree", scope="all")["root"]["id"]
    for action in ("focus", "invoke", "value"):
        desk.post(f"a11y/node/{action}", status=503, id=root, value="x")
    assert desk.get("status") == {"status": "inactive"}
    assert desk.post("stop")
    assert desk.get("recordings")["recordings"] == []
    assert foreign.get("mouse/position") == {"x": 100, "y": 200}
    assert foreign.get("status") == {"status": "active"}


def test_a_foreign_desktop_is_used_where_that_is_set(make_desk: Callable[..., Any]) -> None:
    """F-F3: with attach it is used."""
    need_gtk()
    foreign = make_desk()
    environ = {"DBUS_SESSION_BUS_ADDRESS": session_bus(foreign)}
    options = 'attach = true\nwindow_manager = "none"'
    desk = make_desk(options, display=foreign.display, env=environ)
    desk.post("mouse/move", x=7, y=8)
    assert foreign.get("mouse/position") == {"x": 7, "y": 8}
    assert desk.get("a11y/tree", scope="all")["root"]["role"]
