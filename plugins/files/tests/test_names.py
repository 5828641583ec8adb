from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toolbox_files.disposition import content_disposition
from toolbox_files.errors import InvalidFilePath
from toolbox_files.helpers.nametext import name_text
from toolbox_files.names import to_bytes
from toolbox_files.names import to_path
from toolbox_files.names import to_text

NAMES = st.binary(min_size=1).map(lambda name: name.replace(b"\0", b"x"))


@given(NAMES)
def test_any_name_survives_the_way_to_a_client_and_back(name: bytes) -> None:
    text = name_text(name)
    text.encode("utf-8")  # No lone surrogate: JSON can carry it.
    assert to_bytes(text) == name
    assert to_text(os.fsdecode(name)) == text


@given(st.text().filter(lambda text: not any(0x10F780 <= ord(c) <= 0x10F7FF for c in text)))
def test_utf8_names_are_sent_as_they_are(text: str) -> None:
    name = text.replace("\0", "x")
    assert name_text(name.encode()) == name


def test_bytes_that_are_no_characters_are_private_use_characters() -> None:
    assert name_text(b"caf\xe9") == "caf\U0010f7e9"


def test_a_name_with_such_a_character_is_sent_byte_by_byte() -> None:
    name = "\U0010f7e9".encode()
    assert name_text(name) == "".join(chr(0x10F700 + byte) for byte in name)


@pytest.mark.parametrize("text", ["", "a\0b", "a\ud800b"])
def test_what_can_not_be_a_path_is_refused(text: str) -> None:
    with pytest.raises(InvalidFilePath):
        to_path(text, Path("/"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hello.txt", "filename=\"hello.txt\"; filename*=utf-8''hello.txt"),
        (
            "日本語.txt",
            "filename=\"___.txt\"; filename*=utf-8''%E6%97%A5%E6%9C%AC%E8%AA%9E.txt",
        ),
        ('a"b\\c', 'filename="a\\"b\\\\c"; filename*=utf-8\'\'a%22b%5Cc'),
        ("a b(1)", "filename=\"a b(1)\"; filename*=utf-8''a%20b%281%29"),
        ("tab\there", "filename=\"tab_here\"; filename*=utf-8''tab%09here"),
        ("line\r\nbreak", "filename=\"linebreak\"; filename*=utf-8''line%0D%0Abreak"),
        ("é", "filename=\"_\"; filename*=utf-8''%C3%A9"),
    ],
)
def test_content_dispositions(name: str, expected: str) -> None:
    assert content_disposition("attachment", name) == f"attachment; {expected}"
