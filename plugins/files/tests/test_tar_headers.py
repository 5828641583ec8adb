"""The headers of packed members, read by ``tarfile``."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from typing import Any

from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st
from toolbox_files.helpers.tar_headers import BLOCK
from toolbox_files.helpers.tar_headers import DIRECTORY
from toolbox_files.helpers.tar_headers import REGULAR
from toolbox_files.helpers.tar_headers import SYMBOLIC_LINK
from toolbox_files.helpers.tar_headers import header
from toolbox_files.helpers.tar_headers import padding

NAMES = st.binary(min_size=1, max_size=300).map(
    lambda name: b"n" + name.translate(None, b"\0").rstrip(b"/")
)
IDS = st.integers(0, 2**32 - 2)
TIMES = st.integers(-(2**62), 2**62)


def status(mode: int, uid: int, gid: int, mtime: int) -> Any:
    """The result of fstat(2), whose times are also in nanoseconds."""
    fields: list[Any] = [mode, 1, 1, 1, uid, gid, 0, 0, mtime // 10**9, 0]
    names: dict[str, Any] = {"st_mtime_ns": mtime}
    return os.stat_result(fields, names)


def members(data: bytes, count: int = 1) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = [archive.next() for _ in range(count)]
    return [each for each in found if each is not None]


@given(NAMES, NAMES, st.integers(0, 0o7777), IDS, IDS, TIMES, st.integers(0, 10**13))
@example(b"short", b"short", 0o644, 0, 0, 1_764_491_234_123_456_789, 5)
@example(b"short", b"short", 0o644, 0, 0, 999_999_999_999_999_999, 5)
@example(b"short", b"short", 0o644, 0, 0, 8_589_934_592_000_000_001, 5)
@example(b"d" * 100, b"l" * 100, 0o644, 0o7777777, 0o7777777, 0, 0o77777777777)
@example(b"d" * 101, b"l" * 101, 0o644, 0o10000000, 0o10000000, -1, 0o100000000000)
def test_a_header_is_read_as_it_was_meant(
    name: bytes, link: bytes, mode: int, uid: int, gid: int, mtime: int, size: int
) -> None:
    info = status(stat.S_IFREG | mode, uid, gid, mtime)
    data = header(name + b"/", info, DIRECTORY)
    data += header(name, info, SYMBOLIC_LINK, link=link)
    assert len(data) % BLOCK == 0
    # The file comes last: its content isn't there.
    directory, symbolic, file = members(data + header(name, info, REGULAR, size=size), 3)
    text = os.fsdecode(name)
    assert (directory.name, directory.isdir()) == (text, True)
    assert (symbolic.name, symbolic.linkname) == (text, os.fsdecode(link))
    assert (file.name, file.size, file.isreg()) == (text, size, True)
    for member in (directory, symbolic, file):
        assert (member.mode, member.uid, member.gid) == (mode, uid, gid)
        assert member.mtime == mtime / 10**9


def test_a_time_is_exact_to_the_nanosecond() -> None:
    for nanoseconds, text in (
        (1_700_000_000_123_456_789, "1700000000.123456789"),
        (-1, "-0.000000001"),
    ):
        (member,) = members(header(b"a", status(stat.S_IFREG, 0, 0, nanoseconds), REGULAR))
        assert member.pax_headers == {"mtime": text}
    (member,) = members(header(b"a", status(stat.S_IFREG, 0, 0, 5 * 10**9), REGULAR))
    assert (member.pax_headers, member.mtime) == ({}, 5)


def test_a_comment_of_any_bytes_and_length_is_kept() -> None:
    for size in (1, 86, 87, 88, 985, 986, 987, 5000):
        comment = b"\xff" + b"x" * size
        (member,) = members(header(b"./", status(0, 0, 0, 0), DIRECTORY, comment=comment))
        assert os.fsencode(member.pax_headers["comment"]) == comment
    assert [len(padding(size)) for size in (0, 1, 512, 513)] == [0, 511, 0, 511]
