"""Named keys."""

from __future__ import annotations

import pytest
from toolbox_process.emulator.keys import encode_key
from toolbox_process.emulator.keys import encode_paste
from toolbox_process.emulator.keys import encode_text

# What xterm sends (ctlseqs, and its terminfo entry).
KEYS = {
    "Enter": "\r",
    "return": "\r",
    "Tab": "\t",
    "Shift-Tab": "\x1b[Z",
    "BTab": "\x1b[Z",
    "Escape": "\x1b",
    "Esc": "\x1b",
    "Backspace": "\x7f",
    "Ctrl-Backspace": "\b",
    "Space": " ",
    "Ctrl-Space": "\0",
    "Ctrl-@": "\0",
    "Ctrl-C": "\x03",
    "ctrl-c": "\x03",
    "Ctrl+D": "\x04",
    "C-z": "\x1a",
    "Ctrl-[": "\x1b",
    "Ctrl-\\": "\x1c",
    "Ctrl-_": "\x1f",
    "Ctrl-/": "\x1f",
    "Ctrl-?": "\x7f",
    "Alt-x": "\x1bx",
    "Alt-X": "\x1bX",
    "M-x": "\x1bx",
    "Alt-Enter": "\x1b\r",
    "Ctrl-Alt-a": "\x1b\x01",
    "Alt--": "\x1b-",
    "x": "x",
    "é": "é",
    "日": "日",
    "-": "-",
    "Shift-a": "A",
    "Up": "\x1b[A",
    "ArrowDown": "\x1b[B",
    "Right": "\x1b[C",
    "Left": "\x1b[D",
    "Home": "\x1b[H",
    "End": "\x1b[F",
    "Ctrl-Left": "\x1b[1;5D",
    "Shift-Alt-Up": "\x1b[1;4A",
    "Insert": "\x1b[2~",
    "Delete": "\x1b[3~",
    "PageUp": "\x1b[5~",
    "pgdn": "\x1b[6~",
    "Ctrl-Delete": "\x1b[3;5~",
    "F1": "\x1bOP",
    "F4": "\x1bOS",
    "F5": "\x1b[15~",
    "F10": "\x1b[21~",
    "F11": "\x1b[23~",
    "F12": "\x1b[24~",
    "Shift-F1": "\x1b[1;2P",
    "Ctrl-Shift-F5": "\x1b[15;6~",
}


@pytest.mark.parametrize("name", KEYS)
def test_keys(name: str) -> None:
    assert encode_key(name, application_cursor=False) == KEYS[name]


def test_the_application_cursor_mode() -> None:
    assert encode_key("Up", application_cursor=True) == "\x1bOA"
    assert encode_key("End", application_cursor=True) == "\x1bOF"
    assert encode_key("Ctrl-Up", application_cursor=True) == "\x1b[1;5A"
    assert encode_key("F5", application_cursor=True) == "\x1b[15~"


@pytest.mark.parametrize(
    "name", ["", "Nope", "Ctrl-", "Ctrl-é", "Hyper-x", "F13", "Ctrl-Nope", "ab"]
)
def test_what_is_no_key(name: str) -> None:
    with pytest.raises(ValueError, match="key"):
        encode_key(name, application_cursor=False)


def test_text_and_pastes() -> None:
    assert encode_text("a\nb\r\nc\rd") == "a\rb\rc\rd"
    assert encode_paste("a\nb", bracketed=False) == "a\rb"
    assert encode_paste("a\x1b[201~rm -rf\n", bracketed=True) == "\x1b[200~a[201~rm -rf\r\x1b[201~"
