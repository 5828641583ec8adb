"""File names of any bytes as text, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolbox.filenames import decode_name
from toolbox.filenames import encode_name
from toolbox.filenames import show_bytes


@given(st.binary())
def test_any_name_survives_a_round_trip(name: bytes) -> None:
    text = decode_name(name)
    text.encode("utf-8")  # No lone surrogate: JSON can carry it.
    assert encode_name(text) == name


@given(st.text().filter(lambda text: not any(0x10F780 <= ord(c) <= 0x10F7FF for c in text)))
def test_utf8_names_are_unchanged(text: str) -> None:
    assert decode_name(text.encode()) == text


def test_other_bytes_are_private_use_characters() -> None:
    assert decode_name(b"caf\xe9") == "caf\U0010f7e9"


def test_a_name_with_such_a_character_is_escaped_byte_by_byte() -> None:
    name = "\U0010f7e9".encode()
    assert decode_name(name) == "".join(chr(0x10F700 + byte) for byte in name)


def test_a_lone_surrogate_is_no_name() -> None:
    with pytest.raises(UnicodeEncodeError):
        encode_name("a\ud800b")


def test_bytes_are_shown_as_such() -> None:
    """Of a name as clients send it, also where repr() has written it."""
    name = decode_name(b"caf\xe9 \xff\x80 \xc3\xa4")
    assert show_bytes(name) == r"caf\xe9 \xff\x80 ä"
    assert show_bytes(repr(name)) == r"'caf\xe9 \xff\x80 ä'"
    assert show_bytes("\U0010f77f \U0010f800") == "\U0010f77f \U0010f800"
