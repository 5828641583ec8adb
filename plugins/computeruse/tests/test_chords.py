"""Valid and invalid keys, chords and texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies
from toolbox_computeruse.errors import InvalidInput
from toolbox_computeruse.input import keysyms
from toolbox_computeruse.input.chords import NAMES
from toolbox_computeruse.input.chords import Chord
from toolbox_computeruse.input.chords import check_text
from toolbox_computeruse.input.chords import parse_chord
from toolbox_computeruse.input.chords import parse_hotkey
from toolbox_computeruse.input.gestures import parse_button
from toolbox_computeruse.input.gestures import parse_direction


@pytest.mark.parametrize(
    ("key", "modifiers", "expected"),
    [
        ("Escape", ["CONTROL", "meta"], Chord("escape", ("ctrl", "cmd"))),
        ("A", None, Chord("a")),
        ("lshift", ["ctrl"], Chord("lshift", ("ctrl",))),
        ("num_plus", [], Chord("num_plus")),
        ("num-plus", [], Chord("num_plus")),
        ("/", ["ctrl"], Chord("/", ("ctrl",))),
        ("Page-Up", [], Chord("pageup")),
        ("right_command", [], Chord("rcmd")),
        ("windows", [], Chord("cmd")),
    ],
)
def test_a_chord_goes_by_its_names(key: str, modifiers: list[str] | None, expected: Chord) -> None:
    assert parse_chord(key, modifiers) == expected


@pytest.mark.parametrize(
    ("key", "modifiers"),
    [
        *((key, []) for key in ("", "!", " ", "\t", "\n", "é", "FooBar", "audio_mute", "a b")),
        *((key, []) for key in ("lights_mon_up", "num+", "num*", "naïve", "\x1b")),
        ("d", ["ctrl", "c"]),
        ("a", ["lshift"]),
        ("c", ["ctrl", "ctrl"]),
        ("c", ["cmd", "meta"]),
        ("shift", ["shift"]),
        ("lshift", ["shift"]),
        ("a", [""]),
    ],
)
def test_a_wrong_chord_is_refused(key: str, modifiers: list[str]) -> None:
    with pytest.raises(InvalidInput):
        parse_chord(key, modifiers)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("ctrl+c", Chord("c", ("ctrl",))),
        (" ctrl + c ", Chord("c", ("ctrl",))),
        ("CTRL+Escape", Chord("escape", ("ctrl",))),
        ("ctrl+A", Chord("a", ("ctrl",))),
        ("ctrl+shift", Chord("shift", ("ctrl",))),
        ("lshift", Chord("lshift")),
        ("f5", Chord("f5")),
        ("ctrl+/", Chord("/", ("ctrl",))),
        ("ctrl+num_plus", Chord("num_plus", ("ctrl",))),
        ("shift+=", Chord("=", ("shift",))),
    ],
)
def test_a_hotkey_is_one_chord(keys: str, expected: Chord) -> None:
    assert parse_hotkey(keys) == expected


@pytest.mark.parametrize(
    "keys",
    [
        *("", "  ", "ctrl++c", "ctrl++", "ctrl+ ", "ctrl+k ctrl+c", "ctrl+c+d", "a+b", "+"),
        *("shift+shift", "lshift+c", "ctrl+control+c", "ctrl+!", "foo+c"),
    ],
)
def test_a_wrong_hotkey_is_refused(keys: str) -> None:
    with pytest.raises(InvalidInput):
        parse_hotkey(keys)


def test_every_name_has_a_keysym() -> None:
    assert set(NAMES.values()) == set(keysyms.NAMED)


@given(strategies.text())
def test_no_text_ends_in_another_error(text: str) -> None:
    for parse in (parse_hotkey, check_text, parse_button, parse_direction):
        try:
            parse(text)
        except InvalidInput as error:
            assert error.message


def test_line_ends_are_all_the_same() -> None:
    assert check_text("line one\nline two\r\nline three\r") == "line one\nline two\nline three\n"
    assert check_text("") == ""


@pytest.mark.parametrize("char", ["\t", "\v", "\f", "\u2028", "\u2029", "\x00", "\x7f", "\x85"])
def test_control_characters_are_refused_by_their_code_points(char: str) -> None:
    with pytest.raises(InvalidInput, match=f"U\\+{ord(char):04X}"):
        check_text(f"a{char}b")


def test_buttons_and_directions() -> None:
    assert [parse_button(text) for text in ("", None, " right ", "Middle")] == [
        *("left", "left", "right", "middle")
    ]
    assert parse_direction(" down ") == "down"
    for wrong in ("center", "wheel", "1"):
        with pytest.raises(InvalidInput):
            parse_button(wrong)
    with pytest.raises(InvalidInput):
        parse_direction("")
