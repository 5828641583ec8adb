"""Responses made of what operations return, without a service."""

from __future__ import annotations

import email
import email.message
import io
import os
from collections.abc import Iterable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import werkzeug.http
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response

from toolbox import response as module
from toolbox.errors import BadRequest
from toolbox.errors import PreconditionFailed
from toolbox.errors import RangeNotSatisfiable
from toolbox.http.dates import http_date
from toolbox.response import FileResponse
from toolbox.response import JsonResponse
from toolbox.response import MultipartResponse
from toolbox.response import StreamResponse
from toolbox.response import TextResponse
from toolbox.response import respond

SIZE = 20
CONTENT = bytes(range(65, 65 + SIZE))


class Model(msgspec.Struct):
    name: str
    unset: int | msgspec.UnsetType = msgspec.UNSET


def body(response: Response) -> bytes:
    """Send the whole body, as a server does."""
    try:
        return b"".join(response.response)  # type: ignore[arg-type]
    finally:
        response.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    os.utime(path, (1_000_000_000, 1_000_000_000.5))
    return path


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every file one that is too large to be read at once."""
    monkeypatch.setattr(module, "SMALL", -1)


def send(path: Path, method: str = "GET", **environ: str) -> Response:
    file = path.open("rb", buffering=0)
    try:
        return respond(FileResponse(file), 200, {"REQUEST_METHOD": method, **environ})
    except BaseException:
        assert file.closed, "an error leaves nobody to close it"
        raise


@pytest.mark.parametrize(
    ("value", "status", "content", "content_type"),
    [
        (None, 204, b"", None),
        (Model("é"), 204, '{"name":"é"}'.encode(), "application/json; charset=utf-8"),
        ([1], 204, b"[1]", "application/json; charset=utf-8"),
        (JsonResponse({"a": None}, 201), 201, b'{"a":null}', "application/json; charset=utf-8"),
        (JsonResponse(), 204, b"", None),
        (JsonResponse(None, 202, {"X": "y"}), 202, b"", None),
        (TextResponse("é"), 204, "é".encode(), "text/plain; charset=utf-8"),
        (TextResponse(b"\xff", "a/b", 201), 201, b"\xff", "a/b"),
        (StreamResponse([b"1", b"2"]), 204, b"12", "application/octet-stream"),
        (StreamResponse([], "a/b", 206), 206, b"", "a/b"),
    ],
)
def test_values_become_responses(
    value: Any, status: int, content: bytes, content_type: str | None
) -> None:
    response = respond(value, 204, {})
    assert response.status_code == status
    assert body(response) == content
    if content:
        assert response.headers["Content-Type"] == content_type
    if isinstance(value, JsonResponse):
        assert value.headers.items() <= dict(response.headers).items()


def test_a_response_is_left_as_it_is() -> None:
    response = Response(b"x", 418)
    assert respond(response, 200, {}) is response


@pytest.mark.parametrize("kind", [TextResponse, StreamResponse, JsonResponse])
def test_headers_of_a_response_are_sent(kind: Any) -> None:
    response = respond(
        kind([b"x"] if kind is StreamResponse else "x", headers={"X-A": "1"}), 200, {}
    )
    assert response.headers["X-A"] == "1"


def test_a_stream_is_closed_however_much_of_it_was_sent() -> None:
    class Chunks:
        closed = 0

        def __iter__(self) -> Iterator[bytes]:
            yield b"1"
            raise ZeroDivisionError

        def close(self) -> None:
            self.closed += 1

    chunks = Chunks()
    response = respond(StreamResponse(chunks), 200, {})
    with pytest.raises(ZeroDivisionError):
        body(response)
    assert chunks.closed == 1


def test_parts_can_be_read_again() -> None:
    parts: list[tuple[Headers, Iterable[bytes]]] = [
        (Headers({"Content-Disposition": 'form-data; name="a"'}), [b"1", b"2"]),
        (Headers({"Content-Disposition": 'form-data; name="b"'}), []),
    ]
    response = respond(MultipartResponse(parts), 201, {})
    assert response.status_code == 201
    head = f"Content-Type: {response.headers['Content-Type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + body(response))
    found: Any = message.get_payload()
    assert [part.get_payload(decode=True) for part in found] == [b"12", b""]


def test_a_file_is_sent_whole(path: Path) -> None:
    response = send(path)
    assert (response.status_code, body(response)) == (200, CONTENT)
    assert response.headers["Content-Length"] == str(SIZE)
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["Last-Modified"] == "Sun, 09 Sep 2001 01:46:40 GMT"
    assert "Content-Range" not in response.headers


@pytest.mark.usefixtures("streamed")
def test_headers_of_the_operation_go_over_ours(path: Path) -> None:
    file = path.open("rb", buffering=0)
    headers = {"ETag": '"mine"', "X-A": "1"}
    response = respond(FileResponse(file, "a/b", headers), 200, {"REQUEST_METHOD": "GET"})
    assert (response.headers["ETag"], response.headers["X-A"]) == ('"mine"', "1")
    assert response.headers["Content-Type"] == "a/b"
    assert not file.closed
    body(response)
    assert file.closed


OFFSETS = st.integers(0, SIZE + 5)
SPECS = st.one_of(
    st.tuples(OFFSETS, OFFSETS).map(lambda pair: f"{min(pair)}-{max(pair)}"),
    OFFSETS.map(lambda first: f"{first}-"),
    OFFSETS.map(lambda count: f"-{count}"),
)


def wanted(specs: list[str]) -> set[int]:
    """The positions of the file that are meant, one by one (RFC 9110, 14.1.2)."""
    found: set[int] = set()
    for spec in specs:
        first, last = spec.split("-")
        if not first:
            found.update(range(max(0, SIZE - int(last)), SIZE))
        else:
            found.update(range(int(first), min(int(last or SIZE), SIZE - 1) + 1))
    return found


def parts_of(response: Response) -> list[tuple[str, bytes]]:
    """The parts of a file that were sent, each with its Content-Range."""
    content = body(response)
    assert response.headers["Content-Length"] == str(len(content))
    if not response.headers["Content-Type"].startswith("multipart/byteranges"):
        return [(response.headers["Content-Range"], content)]
    head = f"Content-Type: {response.headers['Content-Type']}\r\n\r\n".encode()
    messages: Any = email.message_from_bytes(head + content).get_payload()
    return [(part["Content-Range"], part.get_payload(decode=True)) for part in messages]


@given(st.lists(SPECS, min_size=1, max_size=4))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ranges_give_the_bytes_that_are_meant_once(path: Path, specs: list[str]) -> None:
    header = f"bytes={', '.join(specs)}"
    positions = wanted(specs)
    if not positions:
        with pytest.raises(RangeNotSatisfiable) as caught:
            send(path, HTTP_RANGE=header)
        assert caught.value.headers == {"Content-Range": f"bytes */{SIZE}"}
        return
    response = send(path, HTTP_RANGE=header)
    assert response.status_code == 206
    found: list[int] = []
    for content_range, content in parts_of(response):
        unit, span = content_range.removesuffix(f"/{SIZE}").split(" ")
        first, last = map(int, span.split("-"))
        assert unit == "bytes"
        assert content == CONTENT[first : last + 1]
        found += range(first, last + 1)
    assert sorted(found) == found == sorted(positions)


@pytest.mark.parametrize(
    "header",
    ["", "bytes", "bytes=", "bytes=x", "bytes=-", "bytes=5-4", "lines=1-2", "bytes=1-2,x",
     "bytes=0-1 2-3", "bytes=" + ",".join(["0-0"] * 33)],
)  # fmt: skip
def test_a_range_that_makes_no_sense_gives_the_whole(path: Path, header: str) -> None:
    response = send(path, HTTP_RANGE=header)
    assert (response.status_code, body(response)) == (200, CONTENT)


def test_only_get_has_ranges(path: Path) -> None:
    response = send(path, "HEAD", HTTP_RANGE="bytes=0-1")
    assert (response.status_code, response.headers["Content-Length"]) == (200, str(SIZE))
    response.close()


def test_an_empty_file_has_no_ranges_but_its_last_bytes(path: Path) -> None:
    path.write_bytes(b"")
    response = send(path, HTTP_RANGE="bytes=-5")
    assert (response.status_code, body(response)) == (200, b"")
    with pytest.raises(RangeNotSatisfiable):
        send(path, HTTP_RANGE="bytes=0-")


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("IF_NONE_MATCH", "{etag}", 304),
        ("IF_NONE_MATCH", "W/{etag}", 304),
        ("IF_NONE_MATCH", "*", 304),
        ("IF_NONE_MATCH", '"x", {etag}', 304),
        ("IF_NONE_MATCH", '"x"', 200),
        ("IF_MATCH", "{etag}", 200),
        ("IF_MATCH", "*", 200),
        ("IF_MATCH", "W/{etag}", 412),
        ("IF_MATCH", '"x"', 412),
        ("IF_MODIFIED_SINCE", "Sun, 09 Sep 2001 01:46:40 GMT", 304),
        ("IF_MODIFIED_SINCE", "Sun, 09 Sep 2001 01:46:39 GMT", 200),
        ("IF_MODIFIED_SINCE", "yesterday", 200),
        ("IF_UNMODIFIED_SINCE", "Sun, 09 Sep 2001 01:46:40 GMT", 200),
        ("IF_UNMODIFIED_SINCE", "Sun, 09 Sep 2001 01:46:39 GMT", 412),
        ("IF_RANGE", "{etag}", 206),
        ("IF_RANGE", "W/{etag}", 200),
        ("IF_RANGE", "Sun, 09 Sep 2001 01:46:40 GMT", 206),
        ("IF_RANGE", "Sun, 09 Sep 2001 01:46:41 GMT", 200),
    ],
)
def test_conditions(path: Path, name: str, value: str, status: int) -> None:
    """RFC 9110, 13."""
    etag = etag_of(path)
    environ = {f"HTTP_{name}": value.format(etag=etag)}
    if name == "IF_RANGE":
        environ["HTTP_RANGE"] = "bytes=1-2"
    if status == 412:
        with pytest.raises(PreconditionFailed):
            send(path, **environ)
        return
    response = send(path, **environ)
    assert response.status_code == status
    expected = {200: CONTENT, 206: CONTENT[1:3], 304: b""}[status]
    assert body(response) == expected
    assert response.headers["ETag"] == etag


def etag_of(path: Path) -> str:
    response = send(path)
    response.close()
    return str(response.headers["ETag"])


@pytest.mark.parametrize("change", ["content", "time", "file"])
def test_an_etag_changes_with_the_file(path: Path, change: str) -> None:
    before = etag_of(path)
    times = (1_000_000_000, 1_000_000_000.5)
    if change == "content":
        path.write_bytes(CONTENT + b"x")
        os.utime(path, times)
    elif change == "time":
        os.utime(path, (times[0], times[1] + 0.01))
    else:
        (path.parent / "other").write_bytes(CONTENT)
        (path.parent / "other").replace(path)
        os.utime(path, times)
    after = etag_of(path)
    assert after != before
    assert not after.startswith("W/")


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as file, pytest.raises(BadRequest):
        respond(FileResponse(file), 200, {"REQUEST_METHOD": "GET"})
    assert file.closed
    os.close(writing)


@pytest.mark.usefixtures("streamed")
@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-3,10-", "none"])
def test_a_file_that_becomes_shorter_is_an_error(path: Path, header: str) -> None:
    """The client was promised more, so the connection has to end."""
    response = send(path, HTTP_RANGE=header)
    os.truncate(path, 12)
    with pytest.raises(BrokenPipeError):
        body(response)


def test_a_small_file_is_read_at_once(path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        response = respond(FileResponse(file), 200, {"REQUEST_METHOD": "GET"})
        assert file.closed
    path.write_bytes(b"")
    assert body(response) == CONTENT


def test_a_small_file_that_becomes_shorter_at_once_is_an_error(path: Path) -> None:
    file = Shrinking(path)
    response = respond(FileResponse(file), 200, {"REQUEST_METHOD": "GET"})
    with pytest.raises(BrokenPipeError):
        body(response)
    assert file.closed


class Shrinking(io.FileIO):
    """A file that is cut right before it is read."""

    asked = 0

    def fileno(self) -> int:
        self.asked += 1
        if self.asked == 2:  # First for its status, then for its content.
            os.truncate(self.name, 3)
        return super().fileno()


@pytest.mark.usefixtures("streamed")
def test_a_file_that_grows_is_sent_as_it_was_announced(path: Path) -> None:
    response = send(path)
    with path.open("ab") as file:
        file.write(b"more")
    assert body(response) == CONTENT


@pytest.mark.usefixtures("streamed")
def test_the_server_sends_a_file_where_it_can(path: Path) -> None:
    """From the offset of the range, for the length in the header (PEP 3333)."""
    wrapped: list[Any] = []

    def wrapper(file: io.FileIO, size: int) -> list[bytes]:
        wrapped.append((file.tell(), size))
        return [b"sent"]

    file = path.open("rb", buffering=0)
    environ = {"REQUEST_METHOD": "GET", "HTTP_RANGE": "bytes=5-7", "wsgi.file_wrapper": wrapper}
    response = respond(FileResponse(file), 200, environ)
    assert wrapped == [(5, module.CHUNK)]
    assert response.headers["Content-Length"] == "3"
    assert response.direct_passthrough
    file.close()


@pytest.mark.parametrize("seconds", [0, 1.9, -0.5, 951782399.999, 1_700_000_000.5, 4_102_444_800])
def test_dates_are_those_of_werkzeug(seconds: float) -> None:
    assert http_date(seconds) == werkzeug.http.http_date(seconds)
