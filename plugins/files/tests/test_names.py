from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toolbox_files.errors import InvalidFilePath
from toolbox_files.names import to_bytes
from toolbox_files.names import to_path
from toolbox_files.names import to_text
from toolbox_files.read.disposition import content_disposition

from toolbox.filenames import decode_name

NAMES = st.binary(min_size=1).map(lambda name: name.replace(b"\0", b"x"))


@given(NAMES)
def test_any_name_survives_the_way_to_a_client_and_back(name: bytes) -> None:
    text = decode_name(name)
    text.encode("utf-8")  # No lone surrogate: JSON can carry it.
    assert to_bytes(text) == name
    assert to_text(os.fsdecode(name)) == text


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
