"""The multipart reader, on its own: against Werkzeug's, and against bodies that are broken."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.formparser import MultiPartParser

from toolbox import multipart
from toolbox.errors import BadRequest
from toolbox.multipart import MAX_FIELD
from toolbox.multipart import read_parts
from toolbox.request import Body

BOUNDARY = "b-1"


class Trickle(io.BytesIO):
    """A connection that gives ``sizes`` bytes at a time, over and over."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        super().__init__(data)
        self._sizes = sizes
        self._turn = 0

    def read(self, size: int | None = -1) -> bytes:
        self._turn += 1
        return super().read(min(size or 0, self._sizes[self._turn % len(self._sizes)]))


def make_body(data: bytes, sizes: list[int], boundary: str = BOUNDARY) -> Body:
    environ: dict[str, Any] = {
        "CONTENT_TYPE": f"multipart/form-data; boundary={boundary}",
        "CONTENT_LENGTH": str(len(data)),
        "wsgi.input": Trickle(data, sizes),
    }
    return Body(environ)


def read(data: bytes, sizes: list[int]) -> list[tuple[str, str | None, bytes]]:
    return [
        (part.name, part.filename, b"".join(bytes(chunk) for chunk in part))
        for part in read_parts(make_body(data, sizes))
    ]


def encode(parts: list[tuple[str, str | None, bytes]]) -> bytes:
    data = b""
    for name, filename, content in parts:
        file = f'; filename="{filename}"' if filename is not None else ""
        data += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}'.encode()
        data += b"\r\n\r\n" + content + b"\r\n"
    return data + f"--{BOUNDARY}--\r\n".encode()


SIZES = st.lists(st.integers(1, 50), min_size=1, max_size=4)
ALMOST = st.lists(
    st.sampled_from([b"\r\n", b"-", b"--", b"b-", b"b-1x", b"\r", b"\r\n--b", b"\0", b" ", b"a"])
).map(b"".join)
CONTENT = st.one_of(st.binary(max_size=300), ALMOST).filter(
    lambda content: b"\n--b-1" not in content and b"\r--b-1" not in content
)
NAMES = st.text("abc[]. é", min_size=1, max_size=8).map(str.strip).filter(bool)
PARTS = st.lists(st.tuples(NAMES, st.none() | NAMES, CONTENT), max_size=5)


@given(PARTS, SIZES)
def test_what_was_written_is_read(
    parts: list[tuple[str, str | None, bytes]], sizes: list[int]
) -> None:
    assert read(encode(parts), sizes) == parts


@given(PARTS.filter(bool), SIZES)
def test_it_reads_what_werkzeug_reads(
    parts: list[tuple[str, str | None, bytes]], sizes: list[int]
) -> None:
    data = encode(parts)
    stream = io.BytesIO(data)
    fields, files = MultiPartParser().parse(stream, BOUNDARY.encode(), len(data))
    expected: list[tuple[str, str | None, bytes]] = [
        (name, None, value.encode("utf-8", "replace")) for name, value in fields.items(multi=True)
    ]
    for name, file in files.items(multi=True):
        expected.append((name, file.filename, file.read()))
        file.close()
    ours = [
        (name, filename, content if filename is not None else _as_field(content))
        for name, filename, content in read(data, sizes)
    ]
    assert sorted(ours, key=repr) == sorted(expected, key=repr)


def _as_field(content: bytes) -> bytes:
    return content.decode("utf-8", "replace").encode()


@given(PARTS.filter(bool), SIZES, st.data())
def test_a_cut_body_is_never_taken_for_a_whole_one(
    parts: list[tuple[str, str | None, bytes]], sizes: list[int], data: st.DataObject
) -> None:
    whole = encode(parts).removesuffix(b"--\r\n") + b"-"
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    with pytest.raises(BadRequest, match="ends early"):
        read(cut, sizes)


@given(st.binary(max_size=500), SIZES)
def test_any_bytes_are_parts_or_a_bad_request(data: bytes, sizes: list[int]) -> None:
    try:
        read(data, sizes)
    except BadRequest:
        pass


def test_a_line_that_only_begins_like_a_boundary_is_content() -> None:
    content = b"x\r\n--b-12\r\n--b-1x--\r\n--b-1 \t y\r\n--b-1" + b" " * 500
    data = encode([("name", None, content)])
    for sizes in ([1], [7], [10_000]):
        assert read(data, sizes) == [("name", None, content)]


def test_preamble_padding_and_epilogue_are_skipped() -> None:
    data = (
        b"preamble\r\n--b-1 \t\r\nContent-Disposition: form-data;\r\n name=n\r\n\r\n"
        b"x\r\n--b-1--\r\n--b-1\r\nepilogue"
    )
    assert read(data, [3]) == [("n", None, b"x")]


def test_what_a_caller_leaves_unread_is_skipped() -> None:
    data = encode([("a", None, b"x" * 5000), ("b", None, b"y")])
    assert [part.name for part in read_parts(make_body(data, [11]))] == ["a", "b"]


@pytest.mark.parametrize(
    "data",
    [
        b"--b-1\r\n\r\nno disposition\r\n--b-1--",
        b"--b-1\r\nContent-Disposition: attachment; name=x\r\n\r\n\r\n--b-1--",
        b"--b-1\r\nno colon\r\n\r\n\r\n--b-1--",
        # F-B8: what is there twice
        b"--b-1\r\nContent-Disposition: form-data; name=x; NAME=y\r\n\r\n\r\n--b-1--",
        b"--b-1\r\n" + b"Content-Disposition: form-data; name=x\r\n" * 2 + b"\r\n\r\n--b-1--",
        b"--b-1\r\nContent-Disposition: form-data;\rname=x\r\n\r\n\r\n--b-1--",
        b"--b-1\r\nX: " + b"x" * (MAX_FIELD + 70_000),
    ],
)
def test_malformed_parts_are_refused(data: bytes) -> None:
    with pytest.raises(BadRequest, match="malformed multipart body"):
        read(data, [65_536])


@pytest.mark.parametrize("kind", ["multipart/mixed; boundary=x", "multipart/form-data", "", "text"])
def test_what_is_no_multipart_is_refused(kind: str) -> None:
    body = Body({"CONTENT_TYPE": kind, "CONTENT_LENGTH": "0", "wsgi.input": io.BytesIO()})
    with pytest.raises(BadRequest, match="not multipart/form-data"):
        list(read_parts(body))


@given(st.lists(CONTENT, max_size=4), SIZES)
def test_what_the_writer_writes_the_reader_reads(contents: list[bytes], sizes: list[int]) -> None:
    from werkzeug.datastructures import Headers

    boundary = multipart.new_boundary()
    headers = Headers({"Content-Disposition": 'form-data; name="n"'})
    data = b"".join(multipart.write_parts(boundary, [(headers, [each]) for each in contents]))
    body = make_body(data, sizes, boundary)
    assert [b"".join(bytes(chunk) for chunk in part) for part in read_parts(body)] == contents


def test_names_of_types_and_parameters_have_no_case() -> None:
    # F-C11
    data = b'--b-1\r\nCONTENT-disposition: Form-Data; NAME="f; name=g"\r\n\r\nx\r\n--b-1--'
    body = make_body(data, [100])
    body.content_type = 'Multipart/Form-DATA; Charset=UTF-8; BOUNDARY="b-1"'
    assert body.is_multipart()
    assert [(part.name, part.text()) for part in read_parts(body)] == [("f; name=g", "x")]


@pytest.mark.parametrize("more", ["; boundary=other", '; Boundary="b-1"'])
def test_a_boundary_is_told_once(more: str) -> None:
    # F-B8
    body = make_body(encode([("a", None, b"x")]), [100])
    body.content_type += more
    with pytest.raises(BadRequest, match="boundary appears 2 times"):
        list(read_parts(body))


@given(PARTS.filter(bool), SIZES, st.integers(200, 400))
def test_parts_are_read_through_a_small_buffer(
    parts: list[tuple[str, str | None, bytes]], sizes: list[int], buffer: int
) -> None:
    """Boundaries come at every position of it, its end and its beginning too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multipart, "CHUNK", buffer)
        assert read(encode(parts), sizes) == parts


@pytest.mark.parametrize("limit", [0, 5, 6, 7])
def test_a_field_has_a_limit(limit: int) -> None:
    part = next(read_parts(make_body(encode([("n", None, "é1234".encode())]), [2])))
    if limit >= 6:
        assert part.text(limit) == "é1234"
    else:
        with pytest.raises(BadRequest, match=f"over {limit} bytes"):
            part.text(limit)


def test_a_field_is_utf_8() -> None:
    part = next(read_parts(make_body(encode([("n", None, b"\xff")]), [2])))
    with pytest.raises(BadRequest, match="UTF-8"):
        part.text()
