from __future__ import annotations

import email
import email.message
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies
from werkzeug.datastructures import Headers

from toolbox import multipart
from toolbox.errors import BadRequest
from toolbox.multipart import Part
from toolbox.multipart import new_boundary
from toolbox.multipart import read_parts
from toolbox.multipart import write_parts
from toolbox.request import Body
from toolbox.testing import TOKEN
from toolbox.testing import Service


@pytest.mark.parametrize("size", [0, 1, 8191, 8192, 8193, 1_000_000, 5_000_001])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_raw_body_arrives_whole(toys: Service, size: int, chunked: bool) -> None:
    data = os.urandom(size)
    content = (data[at : at + 70_000] for at in range(0, size, 70_000)) if chunked else data
    assert toys.http.post("/faulty/count", content=content).json() == {"bytes": size}
    # The connection is at the start of the next request.
    assert toys.http.get("/greet/x").status_code == 200


@pytest.mark.parametrize("size", [1, 8191, 1_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_nobody_read_is_no_request(toys: Service, size: int, chunked: bool) -> None:
    content = (b"x" * size for _ in range(1)) if chunked else b"x" * size
    assert toys.http.post("/faulty/unread", content=content).status_code == 200
    assert toys.http.get("/greet/x").status_code == 200


@pytest.mark.parametrize("path", ["count", "unread", "parts", "echo"])
@pytest.mark.parametrize("cut", [-60, -8, 0, 8, None])
def test_a_request_that_came_with_a_body_is_served(toys: Service, path: str, cut: int) -> None:
    # In one packet with it, or cut in two, somewhere around the end of the body.
    head = f"Host: x\r\nAuthorization: Bearer {TOKEN}\r\n"
    body = f"POST /faulty/{path} HTTP/1.1\r\n{head}Content-Length: 50\r\n\r\n{'x' * 50}".encode()
    last = f"GET /greet/x HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode()
    data, at = body + last, len(body) + (cut or 0)
    with socket.create_connection(("127.0.0.1", toys.port), 30) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(data if cut is None else data[:at])
        if cut is not None:
            sock.sendall(data[at:])
        answer = b""
        while received := sock.recv(65536):
            answer += received
    assert answer.count(b"HTTP/1.1 ") == 2, answer
    assert b"HTTP/1.1 200 OK" in answer[1:], answer


def test_a_body_after_expect_100_arrives_whole(toys: Service) -> None:
    headers = {"Expect": "100-continue"}
    response = toys.http.post("/faulty/count", content=b"x" * 100_000, headers=headers)
    assert response.json() == {"bytes": 100_000}


def test_a_chunked_body_is_read_as_it_comes(toys: Service) -> None:
    head = f"POST /faulty/echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
    with socket.create_connection(("127.0.0.1", toys.port), 30) as sock:
        sock.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        answer = b""
        for word in (b"one", b"two", b"three"):
            sock.sendall(b"%x\r\n%s\r\n" % (len(word), word))
            while word not in answer:
                data = sock.recv(65536)
                assert data, answer
                answer += data
        sock.sendall(b"0\r\n\r\n")
        while not answer.endswith(b"0\r\n\r\n"):
            data = sock.recv(65536)
            assert data, answer
            answer += data


def test_parts_arrive_one_by_one(toys: Service) -> None:
    big = os.urandom(3_000_000)
    files = [
        ("a", (None, b"field")),
        ("b", ("name é.bin", big)),
        ("c", ("empty", b"")),
        ("d", (None, b"")),
    ]
    response = toys.http.post("/faulty/parts", files=files)
    assert response.json() == {
        "parts": [["a", None, 5], ["b", "name é.bin", 3_000_000], ["c", "empty", 0], ["d", None, 0]]
    }


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", b"x"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", b"--b\r\n"),
        ("multipart/form-data; boundary=b", b"no boundary in here"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\ncut',
        ),
        ("multipart/form-data; boundary=b", b"--b\r\n" + b"X: y\r\n" * 300_000),
        ("multipart/form-data; boundary=b", b"--b\r\nno header\r\n\r\nx\r\n--b--\r\n"),
    ],
)
def test_a_broken_multipart_body_is_400(toys: Service, content_type: str, body: bytes) -> None:
    headers = {"Content-Type": content_type}
    response = toys.http.post("/faulty/parts", content=body, headers=headers)
    assert response.status_code == 400, response.text
    assert response.json()["code"] == "BAD_REQUEST"


def test_a_client_that_leaves_in_the_middle_is_no_accident(toys: Service) -> None:
    for line in (b"Content-Length: 100", b"Transfer-Encoding: chunked"):
        with socket.create_connection(("127.0.0.1", toys.port), 30) as sock:
            sock.sendall(
                b"POST /faulty/count HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
                + TOKEN.encode()
                + b"\r\n%s\r\n\r\n5\r\nxx" % line
            )
            sock.shutdown(socket.SHUT_WR)
            assert b"400" in sock.recv(65536).split(b"\r\n")[0]
    assert "Traceback" not in toys.log().rpartition("/faulty/count")[2]


class Pieces:
    """A ``wsgi.input`` that hands out what it has in given pieces."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self.data = data
        self.sizes = sizes

    def read(self, size: int) -> bytes:
        limit = self.sizes.pop() if self.sizes else size
        piece, self.data = self.data[: min(size, limit)], self.data[min(size, limit) :]
        return piece


def read(part: Part) -> bytes:
    return b"".join(bytes(chunk) for chunk in part)


def body_of(content: bytes, content_type: str, sizes: list[int]) -> Body:
    return Body(
        {
            "wsgi.input": Pieces(content, sizes),
            "CONTENT_LENGTH": str(len(content)),
            "CONTENT_TYPE": content_type,
        }
    )


@settings(deadline=None, max_examples=200)
@given(
    contents=strategies.lists(
        strategies.binary(max_size=200)
        | strategies.sampled_from([b"\r\n--", b"\r\n", b"\r", b"--", b"\r\n\r\n"]),
        max_size=5,
    ),
    sizes=strategies.lists(strategies.integers(1, 60), max_size=60),
)
def test_whatever_is_written_as_parts_is_read_as_parts(
    contents: list[bytes], sizes: list[int]
) -> None:
    boundary = new_boundary()
    disposition = 'form-data; name="file"; filename="f"'
    parts = [(Headers({"Content-Disposition": disposition}), [each]) for each in contents]
    written = b"".join(write_parts(boundary, parts))
    body = body_of(written, f"multipart/form-data; boundary={boundary}", sizes)
    assert [read(part) for part in read_parts(body)] == contents


@settings(deadline=None, max_examples=200)
@given(data=strategies.binary(max_size=400), sizes=strategies.lists(strategies.integers(1, 60)))
def test_no_bytes_make_the_multipart_reader_fail_otherwise(data: bytes, sizes: list[int]) -> None:
    body = body_of(b"--b\r\n" + data, "multipart/form-data; boundary=b", sizes)
    try:
        for part in read_parts(body):
            for _ in part:
                pass
    except BadRequest:
        pass


@settings(deadline=None, max_examples=500)
@given(text=strategies.from_regex(multipart._PLAIN_HEADERS, fullmatch=True))
def test_plain_headers_of_a_part_mean_what_all_rules_make_of_them(text: str) -> None:
    ruled, plain = multipart._interpret(text), multipart._make_part(text.encode())
    assert (plain.name, plain.filename) == (ruled.name, ruled.filename)


@settings(deadline=None, max_examples=200)
@given(header=strategies.from_regex(multipart._PLAIN_TYPE, fullmatch=True))
def test_a_plain_boundary_is_what_all_rules_make_of_it(header: str) -> None:
    _, options = multipart.parse_parameters(header)
    assert multipart._boundary(header).decode() == options["boundary"]


def test_an_error_while_a_part_is_made_leaves_the_body_open() -> None:
    def content() -> Iterator[bytes]:
        yield b"some"
        raise OSError("the disk")

    written = []
    with pytest.raises(OSError, match="the disk"):
        for data in write_parts("b", [(Headers(), content())]):
            written.append(data)
    assert b"--b--" not in b"".join(written)


def test_a_multipart_answer_can_be_read_again(toys: Service) -> None:
    response = toys.http.get("/faulty/multipart")
    assert response.headers["content-type"].startswith("multipart/form-data; boundary=")
    body = body_of(response.content, response.headers["content-type"], [])
    assert [(part.filename, read(part)) for part in read_parts(body)] == [("a", b"a"), ("b", b"b")]


def test_answers_with_a_status_and_headers_of_their_own(toys: Service) -> None:
    text = toys.http.get("/faulty/text")
    assert (text.status_code, text.text, text.headers["x-extra"]) == (203, "text", "1")
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    answer = toys.http.get("/faulty/answer")
    assert (answer.status_code, answer.json(), answer.headers["x-extra"]) == (202, {"a": 1}, "2")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


@pytest.fixture(scope="module")
def content(toys: Service) -> bytes:
    data = os.urandom(300_000)
    Path(toys.work_dir, "file").write_bytes(data)
    Path(toys.work_dir, "empty").write_bytes(b"")
    return data


def get(toys: Service, name: str = "file", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return toys.http.get("/faulty/file", params={"path": name}, headers=named)


def test_a_file_whole(toys: Service, content: bytes) -> None:
    response = get(toys)
    assert (response.status_code, response.content) == (200, content)
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers["content-length"] == "300000"
    assert get(toys, "empty").content == b""


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=299990-", 299_990, 300_000),
        ("bytes=-10", 299_990, 300_000),
        ("bytes=0-9999999", 0, 300_000),
        ("bytes=-9999999", 0, 300_000),  # F-C9, and what follows.
        ("bytes=-" + "9" * 40, 0, 300_000),
        ("bytes=5-" + "9" * 40, 5, 300_000),
        ("BYTES=10-19", 10, 20),
        ("bytes = 10-19", 10, 20),
        ("bytes=10-19,", 10, 20),
        ("bytes=10-19, 15-29 ,30-30", 10, 31),
        ("bytes=300000-,0-4,-0", 0, 5),
    ],
)
def test_a_range_of_a_file(
    toys: Service, content: bytes, asked: str, start: int, stop: int
) -> None:
    response = get(toys, Range=asked)
    assert response.status_code == 206
    assert response.headers["content-range"] == f"bytes {start}-{stop - 1}/300000"
    assert response.content == content[start:stop]
    assert toys.http.get("/greet/x").status_code == 200


@pytest.mark.parametrize(
    "asked",
    [
        "lines=1-2",
        "nonsense",
        "bytes=",
        "bytes=-",
        "bytes=2-1",
        "bytes=0-1,2-1",
        "bytes=0-1,x",
        "bytes=" + ",".join(f"{2 * n}-{2 * n}" for n in range(33)),
    ],
)
def test_a_range_not_understood_gives_the_whole(toys: Service, content: bytes, asked: str) -> None:
    response = get(toys, Range=asked)
    assert (response.status_code, response.content) == (200, content)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("file", "bytes=300000-"),
        ("file", "bytes=-0"),
        ("file", "bytes=300000-,400000-400001"),
        ("empty", "bytes=0-0"),
        ("empty", "bytes=-0"),
    ],
)
def test_a_range_outside_is_416(toys: Service, content: bytes, name: str, asked: str) -> None:
    response = get(toys, name, Range=asked)
    assert response.status_code == 416
    assert response.headers["content-range"] == f"bytes */{0 if name == 'empty' else 300_000}"
    assert response.json()["code"] == "RANGE_NOT_SATISFIABLE"


def test_several_ranges(toys: Service, content: bytes) -> None:
    # F-C9: RFC 9110, 14.6
    response = get(toys, Range="bytes=299990-, 0-1,1-2, -5")
    assert response.status_code == 206
    assert len(response.content) == int(response.headers["content-length"])
    assert "content-range" not in response.headers
    head = f"Content-Type: {response.headers['content-type']}\r\n\r\n".encode()
    parts = email.message_from_bytes(head + response.content).get_payload()
    assert isinstance(parts, list)
    messages = [part for part in parts if isinstance(part, email.message.Message)]
    found = [(part["Content-Range"], part.get_payload(decode=True)) for part in messages]
    assert found == [
        ("bytes 0-2/300000", content[:3]),
        ("bytes 299990-299999/300000", content[-10:]),
    ]
    assert toys.http.get("/greet/x").status_code == 200


def test_the_last_bytes_of_nothing(toys: Service, content: bytes) -> None:
    # F-C9
    response = get(toys, "empty", Range="bytes=-3")
    assert (response.status_code, response.content) == (200, b"")


def test_only_get_has_ranges(toys: Service, content: bytes) -> None:
    # F-C9: RFC 9110, 14.2
    headers = {"Range": "bytes=1-2"}
    response = toys.http.head("/faulty/file", params={"path": "file"}, headers=headers)
    assert (response.status_code, response.headers["content-length"]) == (200, "300000")


OLD = "Mon, 02 Jan 2006 15:04:05 GMT"
EARLIER = "Mon, 02 Jan 2006 15:04:04 GMT"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": "{etag}"}, 304),
        ({"If-None-Match": '"x", W/{etag}'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"other"'}, 200),
        ({"If-None-Match": '"other"', "If-Modified-Since": OLD}, 200),
        ({"If-Modified-Since": OLD}, 304),
        ({"If-Modified-Since": "Monday, 02-Jan-06 15:04:05 GMT"}, 304),
        ({"If-Modified-Since": "Mon Jan  2 15:04:05 2006"}, 304),
        ({"If-Modified-Since": EARLIER}, 200),
        ({"If-Modified-Since": f"{OLD}, {OLD}"}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-Match": '"other"'}, 412),
        ({"If-Match": "W/{etag}"}, 412),
        ({"If-Match": '"other", {etag}'}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": "{etag}", "If-Unmodified-Since": EARLIER}, 200),
        ({"If-Match": "{etag}", "If-None-Match": "{etag}"}, 304),
        ({"If-Match": '"other"', "If-None-Match": "{etag}"}, 412),
        ({"If-Unmodified-Since": OLD}, 200),
        ({"If-Unmodified-Since": EARLIER}, 412),
        ({"If-Unmodified-Since": EARLIER, "If-None-Match": "{etag}"}, 412),
        ({"If-Unmodified-Since": "yesterday"}, 200),
        ({"Range": "bytes=0-9", "If-Range": "{etag}"}, 206),
        ({"Range": "bytes=0-9", "If-Range": "W/{etag}"}, 200),
        ({"Range": "bytes=0-9", "If-Range": '"other"'}, 200),
        ({"Range": "bytes=0-9", "If-Range": OLD}, 206),
        ({"Range": "bytes=0-9", "If-Range": EARLIER}, 200),
        ({"Range": "bytes=900000-", "If-Range": '"other"'}, 200),
        ({"Range": "bytes=900000-", "If-None-Match": "{etag}"}, 304),
        ({"Range": "bytes=900000-", "If-Match": '"other"'}, 412),
    ],
)
def test_conditional_requests(
    toys: Service, content: bytes, headers: dict[str, str], status: int
) -> None:
    # F-C9
    os.utime(Path(toys.work_dir, "file"), (1136214245, 1136214245.5))
    first = get(toys)
    assert first.headers["last-modified"] == OLD
    named = {name: value.format(etag=first.headers["etag"]) for name, value in headers.items()}
    response = get(toys, **named)
    assert response.status_code == status
    if status == 304:
        assert (response.headers["etag"], response.content) == (first.headers["etag"], b"")


def test_a_date_of_this_second_is_no_validator_of_a_range(toys: Service, content: bytes) -> None:
    # F-C9: RFC 9110, 13.1.5
    file = Path(toys.work_dir, "fresh")
    file.write_bytes(content)
    soon = time.time() + 3600
    os.utime(file, (soon, soon))
    modified = get(toys, "fresh").headers["last-modified"]
    assert get(toys, "fresh", Range="bytes=0-9", If_Range=modified).status_code == 200


def test_the_head_of_a_file(toys: Service, content: bytes) -> None:
    response = toys.http.head("/faulty/file", params={"path": "file"})
    assert (response.headers["content-length"], response.content) == ("300000", b"")
    assert toys.http.get("/greet/x").status_code == 200


def test_no_descriptor_is_left_of_files_sent(toys: Service, content: bytes) -> None:
    (worker,) = toys.workers()
    etag = get(toys).headers["etag"]
    for headers in (
        {},
        {"Range": "bytes=1-2"},
        {"Range": "bytes=900000-"},
        {"If_None_Match": etag},
    ):
        get(toys, **headers)
    toys.http.head("/faulty/file", params={"path": "file"})

    def open_files() -> list[str]:
        fds = Path(f"/proc/{worker}/fd")
        return [link for link in map(os.readlink, fds.iterdir()) if link.endswith("/file")]

    toys.wait_for(lambda: not open_files(), "the closing")


def test_a_directory_is_no_file_to_send(toys: Service) -> None:
    assert get(toys, ".").status_code == 400
