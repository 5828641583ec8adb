"""The accessibility tree of a real GTK program."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
from toolbox_computeruse.accessibility import searching
from toolbox_computeruse.accessibility.models import AccessibilityNode
from toolbox_computeruse.accessibility.models import Bounds
from toolbox_computeruse.accessibility.models import FindRequest
from toolbox_computeruse.accessibility.nodes import NodeId
from toolbox_computeruse.accessibility.nodes import parse_id
from toolbox_computeruse.accessibility.nodes import states_of
from toolbox_computeruse.accessibility.searching import matcher
from toolbox_computeruse.errors import A11yInvalidRequest

from toolbox.testing import end_tree


def walk(node: Any) -> Iterator[Any]:
    yield node
    for child in node.get("children", ()):
        yield from walk(child)


def test_a_button_is_found_and_pressed(desk: Any, form: Any) -> None:
    [button] = form.find(role="button", name="Press me", states=["enabled", "showing"])
    assert button["role"] in ("push button", "button")
    assert button["bounds"]["width"] > 10
    assert "children" not in button
    assert "click" in [each.lower() for each in button["actions"]]
    assert desk.post("a11y/node/invoke", id=button["id"]) == {}
    form.wait_for("clicked")
    form.file.unlink()
    desk.post("a11y/node/invoke", id=button["id"], action="CLICK")
    form.wait_for("clicked")
    error = desk.post("a11y/node/invoke", status=400, id=button["id"], action="fly")
    assert error["code"] == "A11Y_ACTION_NOT_SUPPORTED"


def test_bounds_are_where_it_can_be_clicked(desk: Any, form: Any) -> None:
    [button] = form.find(role="push button")
    bounds = button["bounds"]
    desk.post(
        "mouse/click",
        x=bounds["x"] + bounds["width"] // 2,
        y=bounds["y"] + bounds["height"] // 2,
    )
    form.wait_for("clicked")


def test_text_and_numbers_are_set(desk: Any, form: Any) -> None:
    [entry] = form.find(role="text")
    desk.post("a11y/node/value", id=entry["id"], value="Grüße, 日本")
    form.wait_for("text Grüße, 日本")
    [number] = form.find(role="spin button")
    desk.post("a11y/node/value", id=number["id"], value="42")
    form.wait_for("number 42")
    [button] = form.find(role="push button")
    error = desk.post("a11y/node/value", status=400, id=button["id"], value="x")
    assert error["code"] == "A11Y_ACTION_NOT_SUPPORTED"


def test_focus_leads_the_keys(desk: Any, form: Any) -> None:
    [entry] = form.find(role="text")
    desk.post("a11y/node/focus", id=entry["id"])
    desk.wait_for(lambda: "focused" in form.find(role="text")[0]["states"], "the focus")
    # AC-80
    texts = ["Hello ~|{}", "naïve Ωμέγα Привет €5 — „quoted“", "日本語 한글 中文 😀🎉 שלום"]
    many = "".join(map(chr, range(0x4E00, 0x4E00 + 200)))
    for text in (*texts, many):
        desk.post("keyboard/hotkey", keys="ctrl+a")
        desk.post("keyboard/type", text=text)
        form.wait_for(f"text {text}")


def test_the_tree_of_each_scope(desk: Any, form: Any) -> None:
    tree = desk.get("a11y/tree", scope="pid", pid=form.program.pid)
    nodes = list(walk(tree["root"]))
    assert not tree["truncated"]
    assert {f"label {n}" for n in range(50)} <= {each["name"] for each in nodes}
    assert all(isinstance(each["states"], list) for each in nodes)
    assert tree["root"]["role"] == "application"
    desk.wait_for(
        lambda: desk.get("a11y/tree", maxDepth=0)["root"]["id"] == tree["root"]["id"], "focus"
    )
    again = desk.get("a11y/tree", scope="pid", pid=form.program.pid, maxDepth="")
    assert len(list(walk(again["root"]))) == len(nodes)
    whole = desk.get("a11y/tree", scope=" ALL ", maxDepth=1)["root"]
    assert whole["id"] == "org.a11y.atspi.Registry:/org/a11y/atspi/accessible/root"
    assert tree["root"]["id"] in [each["id"] for each in whole["children"]]
    assert "children" not in whole["children"][0]


def test_limits_are_told(desk: Any, form: Any) -> None:
    scope = {"scope": "pid", "pid": form.program.pid}
    found = desk.post("a11y/find", **scope, name="label ", limit=50)
    assert (len(found["matches"]), found["truncated"]) == (50, False)
    found = desk.post("a11y/find", **scope, name="label ", limit=49)
    assert (len(found["matches"]), found["truncated"]) == (49, True)
    found = desk.post("a11y/find", **scope, name="^label [0-4]$", nameMatch="regex")
    assert [each["name"] for each in found["matches"]] == [f"label {n}" for n in range(5)]
    assert desk.post("a11y/find", **scope, name="nothing") == {"matches": [], "truncated": False}


def test_a_program_that_hangs_is_not_waited_for(desk: Any, form: Any) -> None:
    [button] = form.find(role="push button")
    os.kill(form.program.pid, signal.SIGSTOP)
    try:
        error = desk.post("a11y/node/invoke", status=404, id=button["id"])
        assert error["code"] == "A11Y_NODE_NOT_FOUND"
        assert desk.get("a11y/tree", scope="all")["root"]["role"]
    finally:
        os.kill(form.program.pid, signal.SIGCONT)
    end_tree(form.program)
    error = desk.post("a11y/node/focus", status=404, id=button["id"])
    assert error["code"] == "A11Y_NODE_NOT_FOUND"
    error = desk.get("a11y/tree", status=404, scope="pid", pid=form.program.pid)
    assert error["code"] == "A11Y_NO_ACCESSIBLE_ROOT"


def test_ac_82_without_a_desktop(make_desk: Callable[..., Any]) -> None:
    desk = make_desk()
    assert desk.get("a11y/tree", status=503)["code"] == "A11Y_UNAVAILABLE"
    assert desk.post("a11y/find", status=503)["code"] == "A11Y_UNAVAILABLE"
    assert desk.post("a11y/node/focus", status=503, id=":1.1:/x")["code"] == "A11Y_UNAVAILABLE"
    # An invalid request is reported before a missing desktop.
    assert desk.post("a11y/find", status=400, name="(", nameMatch="regex")
    assert desk.get("a11y/tree", status=400, scope="tree")["code"] == "A11Y_INVALID_SCOPE"
    assert desk.get("a11y/tree", status=503, scope="pid", pid=5)["code"] == "A11Y_UNAVAILABLE"
    assert desk.get("a11y/tree", status=503, scope="pid")["code"] == "A11Y_UNAVAILABLE"
    assert desk.post("a11y/node/invoke", status=400, id="x")["code"] == "A11Y_INVALID_REQUEST"


@pytest.mark.parametrize(
    "text", [":1.42:/org/a11y/atspi/accessible/12", "org.a11y.atspi.Registry:/a/b_c/3", ":1.1:/"]
)
def test_ids_round_trip(text: str) -> None:
    assert str(parse_id(text)) == text


def test_an_id_is_a_name_and_a_path() -> None:
    assert parse_id(":1.42:/a/b") == NodeId(":1.42", "/a/b")


@pytest.mark.parametrize("text", ["", "foo/bar", ":1.42", ":/org/a11y", "x:/a//b", "x:/a/", "x:/ä"])
def test_wrong_ids(text: str) -> None:
    with pytest.raises(A11yInvalidRequest):
        parse_id(text)


def test_states_by_their_bits() -> None:
    assert states_of(([1 << 1 | 1 << 8, 1 << 11],)) == ["active", "enabled", "read_only"]
    assert states_of(([0, 1 << 31],)) == []


NODE = AccessibilityNode(
    id="x:/", role="push button", name="Save All", bounds=Bounds(0, 0, 0, 0), states=["enabled"]
)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (FindRequest(), True),
        (FindRequest(role="PUSH Button"), True),
        (FindRequest(role="button"), True),
        (FindRequest(role="label"), False),
        (FindRequest(name="Save"), True),
        (FindRequest(name="save"), False),
        (FindRequest(name="Save", name_match="exact"), False),
        (FindRequest(name="Save All", name_match="exact"), True),
        (FindRequest(name="S.*l$", name_match="regex"), True),
        (FindRequest(states=["enabled"]), True),
        (FindRequest(states=["enabled", "focused"]), False),
        (FindRequest(states=["Enabled"]), False),
    ],
)
def test_filters(wanted: FindRequest, expected: bool) -> None:
    assert matcher(wanted)(NODE) is expected


@pytest.mark.parametrize(
    "wanted",
    [
        FindRequest(name_match="fuzzy"),
        FindRequest(name="x", name_match="fuzzy"),
        FindRequest(name="(", name_match="regex"),
    ],
)
def test_wrong_filters(wanted: FindRequest) -> None:
    with pytest.raises(A11yInvalidRequest):
        matcher(wanted)


def test_an_expression_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "SECONDS", 0.1)
    name = "a" * 40 + "!"
    node = AccessibilityNode(id="", role="", name=name, bounds=Bounds(0, 0, 0, 0), states=[])
    with pytest.raises(A11yInvalidRequest, match="too long"):
        matcher(FindRequest(name="^(a|a)*$", name_match="regex"))(node)
