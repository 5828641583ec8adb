"""The keyboard, as programs see it: typed text is read back from them."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest
from toolbox_computeruse.input.keymap import KeyMap
from Xlib.display import Display

SHIFT, LOCK, CONTROL, ALT = 1, 2, 4, 8


@pytest.mark.parametrize(
    "text",
    [
        "Hello, World!\n" + "".join(map(chr, range(32, 127))) * 20,
        "naïve café É ß Ωμέγα Привет €5 — „quoted“\n",
        "日本語のテキスト 한글 텍스트 中文 😀🎉 שלום العربية\n",
    ],
    ids=["ascii", "european", "others"],
)
def test_ac_80_text_of_any_script_arrives_exactly(desk: Any, terminal: Any, text: str) -> None:
    desk.post("keyboard/type", text=text)
    assert terminal.typed(text) == text


def test_more_characters_than_there_are_spare_keys(desk: Any, terminal: Any) -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 150)))
    desk.post("keyboard/type", text=text)
    desk.post("keyboard/type", text=text[::-1])
    assert terminal.typed(text * 2) == text + text[::-1]


def test_spare_keys_do_not_wear_out(desk: Any) -> None:
    """Keycodes that were used once are spare again."""
    connection = Display(desk.display)
    try:
        before = KeyMap(connection).capacity
        desk.post("keyboard/type", text="".join(map(chr, range(0xC0, 0x100))))
        for name in ("f13", "f24", "num0", "num9", "num_decimal"):
            desk.post("keyboard/key", key=name)
        assert KeyMap(connection).capacity == before
    finally:
        connection.close()


def test_held_keys_and_caps_lock_do_not_change_a_text(desk: Any, terminal: Any) -> None:
    desk.post("keyboard/key", key="capslock")
    desk.post("keyboard/down", key="shift")
    desk.post("keyboard/type", text="Mixed Case é É")
    desk.post("keyboard/up", key="shift")
    desk.post("keyboard/key", key="capslock")
    desk.post("keyboard/key", key="z")
    assert terminal.typed("Mixed Case é Éz") == "Mixed Case é Éz"


def test_a_hotkey_reaches_a_terminal(desk: Any, terminal: Any) -> None:
    desk.post("keyboard/hotkey", keys="ctrl+c")
    desk.post("keyboard/key", key="enter")
    assert terminal.typed("..") == "\x03\n"


def test_chords_press_and_release_in_order(desk: Any, watcher: Any) -> None:
    desk.post("keyboard/key", key="t", modifiers=["ctrl", "shift"])
    events = watcher.wait_for(6, "KeyPress", "KeyRelease")
    order = [(each["type"][3:], each["key"]) for each in events]
    assert [kind for kind, _ in order] == ["Press"] * 3 + ["Release"] * 3
    assert [key for _, key in order][:3] == ["0xffe3", "0xffe1", "0x54"]
    assert events[2]["state"] == CONTROL | SHIFT


@pytest.mark.parametrize(
    ("name", "keysym"),
    [
        *(("f24", 0xFFD5), ("f13", 0xFFCA), ("num7", 0xFFB7), ("num_decimal", 0xFFAE)),
        *(("num_plus", 0xFFAB), ("escape", 0xFF1B), ("pagedown", 0xFF56), ("a", 0x61)),
        *(("ralt", 0xFFEA), ("menu", 0xFF67), ("cmd", 0xFFEB), ("`", 0x60)),
    ],
)
def test_every_kind_of_key_can_be_pressed(desk: Any, watcher: Any, name: str, keysym: int) -> None:
    desk.post("keyboard/key", key=name)
    press, release = watcher.wait_for(2, "KeyPress", "KeyRelease")
    assert press["code"] == release["code"]
    assert press["key"] == f"{keysym:#x}"


def test_every_name_can_be_pressed(desk: Any) -> None:
    from toolbox_computeruse.input.chords import NAMES

    for name in sorted(set(NAMES.values())):
        if name not in ("capslock", "num_lock"):
            desk.post("keyboard/key", key=name)


def test_what_is_held_is_let_go_by_up(desk: Any, watcher: Any) -> None:
    desk.post("keyboard/down", key="ctrl")
    desk.post("mouse/click", **watcher.at(10, 10))
    desk.post("keyboard/up", key="ctrl")
    desk.post("mouse/click", **watcher.at(10, 10))
    assert [each["state"] for each in watcher.wait_for(2, "ButtonPress")] == [CONTROL, 0]


def test_a_delay_lies_between_characters(desk: Any, terminal: Any) -> None:
    desk.post("keyboard/type", text="slow\n", delay=5)
    desk.post("keyboard/type", text="none\n", delay=-1)
    assert terminal.typed("slow\nnone\n") == "slow\nnone\n"


def test_ac_80_typing_is_bounded_in_time(desk: Any) -> None:
    error = desk.post("keyboard/type", status=400, text="x" * 100, delay=1000)
    assert (error["code"], "limit" in error["message"]) == ("INVALID_INPUT", True)


def test_ac_80_typing_ends_when_the_client_goes(desk: Any, terminal: Any) -> None:
    body = b'{"text": "' + b"x" * 500 + b'", "delay": 100}'
    head = (
        "POST /computeruse/keyboard/type HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {desk.service.token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", desk.service.port)) as sock:
        sock.sendall(head.encode() + body)
        terminal.typed("xxx")
    # Waits for the gesture before it, most of which is still to come unless it was canceled.
    desk.post("keyboard/key", key="y")
    desk.wait_for(lambda: "y" in terminal.file.read_text(), "the next key")
    assert 3 <= terminal.file.read_text().count("x") < 200


def test_gestures_do_not_mix(desk: Any, terminal: Any) -> None:
    words = [char * 300 for char in "abcd"]
    threads = [
        threading.Thread(target=desk.post, args=("keyboard/type",), kwargs={"text": word})
        for word in words
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    found = terminal.typed("".join(words))
    assert sorted(found[at : at + 300] for at in range(0, 1200, 300)) == words


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("type", {"text": "a\tb"}),
        ("type", {"text": "a\u2028"}),
        ("type", {"text": 5}),
        ("key", {"key": "FooBar"}),
        ("key", {"key": "a", "modifiers": ["c"]}),
        ("key", {}),
        ("hotkey", {"keys": "ctrl++"}),
        ("hotkey", {}),
        ("down", {}),
        ("up", {"key": "!"}),
    ],
)
def test_wrong_input_is_refused_before_anything_is_pressed(
    desk: Any, watcher: Any, path: str, body: dict[str, Any]
) -> None:
    error = desk.post(f"keyboard/{path}", status=400, **body)
    assert error["code"] in ("INVALID_INPUT", "INVALID_REQUEST_BODY")
    desk.post("keyboard/key", key="z")
    watcher.wait_for(1, "KeyRelease")
    assert [each["key"] for each in watcher.events("KeyPress")] == ["0x7a"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"{} x"])
def test_ac_91_malformed_bodies_are_told(desk: Any, content: bytes) -> None:
    for path in ("keyboard/type", "keyboard/key", "mouse/click", "mouse/scroll"):
        response = desk.service.http.post(f"/computeruse/{path}", content=content)
        assert response.status_code == 400
        assert response.json()["code"] == "INVALID_REQUEST_BODY"


def test_an_empty_text_is_typed_at_once(desk: Any) -> None:
    assert desk.post("keyboard/type", text="") == {}
