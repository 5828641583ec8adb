"""The pointer, as a program sees it."""

from __future__ import annotations

from typing import Any

import pytest

BUTTON_MASKS = 0x1F00
SHIFT, CONTROL = 1, 4


def test_moving_answers_where_the_pointer_is(desk: Any) -> None:
    assert desk.post("mouse/move", x=321, y=123) == {"x": 321, "y": 123}
    assert desk.get("mouse/position") == {"x": 321, "y": 123}


def test_the_edge_is_as_far_as_it_goes(desk: Any) -> None:
    assert desk.post("mouse/move", x=99999, y=-70000) == {"x": 1279, "y": 0}


@pytest.mark.parametrize(("button", "number"), [("left", 1), (" Middle", 2), ("right", 3)])
def test_a_click_is_seen_where_it_was_made(
    desk: Any, watcher: Any, button: str, number: int
) -> None:
    assert desk.post("mouse/click", **watcher.at(30, 40), button=button) == watcher.at(30, 40)
    events = watcher.wait_for(2, "ButtonPress", "ButtonRelease")
    found = [(each["type"], each["button"], each["x"], each["y"]) for each in events]
    assert found == [("ButtonPress", number, 30, 40), ("ButtonRelease", number, 30, 40)]


@pytest.mark.parametrize(
    ("body", "count"),
    [({}, 1), ({"double": True}, 2), ({"clicks": 3}, 3), ({"clicks": 1, "double": True}, 1)],
)
def test_the_number_of_clicks(desk: Any, watcher: Any, body: dict[str, Any], count: int) -> None:
    desk.post("mouse/click", **watcher.at(30, 40), **body)
    desk.post("mouse/click", **watcher.at(30, 40), button="right")
    presses = watcher.wait_for(count + 1, "ButtonPress")
    assert [each["button"] for each in presses] == [1] * count + [3]


def test_modifiers_are_held_for_the_click_only(desk: Any, watcher: Any) -> None:
    desk.post("mouse/click", **watcher.at(30, 40), modifiers=["ctrl", "shift"])
    desk.post("mouse/click", **watcher.at(30, 40))
    states = [each["state"] for each in watcher.wait_for(2, "ButtonPress")]
    assert states == [SHIFT | CONTROL, 0]


def test_a_drag_moves_with_the_button_held(desk: Any, watcher: Any) -> None:
    start, end = watcher.at(20, 30), watcher.at(220, 130)
    response = desk.post(
        "mouse/drag", startX=start["x"], startY=start["y"], endX=end["x"], endY=end["y"]
    )
    assert response == end
    watcher.wait_for(1, "ButtonRelease")
    events = watcher.events("ButtonPress", "ButtonRelease", "MotionNotify")
    assert events[0]["type"] == "ButtonPress"
    assert (events[0]["x"], events[0]["y"]) == (20, 30)
    assert events[-1]["type"] == "ButtonRelease"
    assert (events[-1]["x"], events[-1]["y"]) == (220, 130)
    moves = [each["x"] for each in events[1:-1]]
    assert len(moves) >= 10
    assert moves == sorted(moves)


@pytest.mark.parametrize(
    ("direction", "button"), [("up", 4), (" Down ", 5), ("left", 6), ("right", 7)]
)
def test_a_notch_of_the_wheel_is_a_button(
    desk: Any, watcher: Any, direction: str, button: int
) -> None:
    response = desk.post("mouse/scroll", **watcher.at(5, 5), direction=direction, amount=3)
    desk.post("mouse/scroll", **watcher.at(5, 5), direction=direction, amount=0)
    assert response == {"success": True}
    assert [each["button"] for each in watcher.wait_for(4, "ButtonPress")] == [button] * 4


def test_a_button_is_held_until_it_is_let_go(desk: Any, watcher: Any) -> None:
    desk.post("mouse/down", **watcher.at(10, 10))
    desk.post("mouse/move", **watcher.at(60, 10))
    assert desk.post("mouse/up", **watcher.at(90, 10)) == watcher.at(90, 10)
    release = watcher.wait_for(1, "ButtonRelease")[0]
    assert (release["x"], release["state"] & BUTTON_MASKS) == (90, 0x100)
    desk.post("mouse/down", button="right")
    desk.post("mouse/up", button="right")
    assert watcher.wait_for(2, "ButtonPress")[1]["x"] == 90


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("click", {"button": "wheel"}),
        ("click", {"button": "center"}),
        ("click", {"clicks": 0}),
        ("click", {"clicks": 11}),
        ("click", {"modifiers": ["lshift"]}),
        ("click", {"x": 1.5}),
        ("click", {"x": "1"}),
        ("scroll", {"direction": ""}),
        ("scroll", {}),
        ("scroll", {"direction": "up", "amount": -1}),
        ("down", {"x": 5}),
        ("up", {"y": 5}),
        ("drag", {"button": "4"}),
    ],
)
def test_wrong_gestures_are_bad_requests(
    desk: Any, watcher: Any, path: str, body: dict[str, Any]
) -> None:
    error = desk.post(f"mouse/{path}", status=400, **body)
    assert error["code"] in ("INVALID_INPUT", "INVALID_REQUEST_BODY")
    desk.post("mouse/click", **watcher.at(30, 40))
    watcher.wait_for(1, "ButtonRelease")
    assert len(watcher.events("ButtonPress")) == 1
