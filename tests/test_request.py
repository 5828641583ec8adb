"""Reading a body, over a real connection with gunicorn's own parser, without a service."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

import pytest
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from toolbox.errors import BadRequest
from toolbox.errors import ContentTooLarge
from toolbox.errors import InvalidBody
from toolbox.errors import RequestTimeout
from toolbox.http.connection import CONTINUE
from toolbox.http.connection import ClientSocket
from toolbox.http.environ import BODY
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.request import decode_json
from toolbox.request import media_type
from toolbox.serving.lanes import Lanes
from toolbox.threads import Crew

PATIENCE = 60.0


class Connection(NamedTuple):
    """A request that has begun, and the client's side of its connection."""

    body: Body
    environ: dict[str, Any]
    client: socket.socket


class Wire:
    """Makes connections, each with the head of a request and what came with it."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    def begin(
        self, head: str, early: bytes = b"", patience: float = PATIENCE, admitted: bool = True
    ) -> Connection:
        """Send the head with the first bytes of the body, and parse it."""
        client, sock = socket.socketpair()
        server = ClientSocket(sock, Lanes(Crew(4), 4, patience, patience))
        self._sockets += [client, server]
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n" + head.encode() + b"\r\n\r\n" + early)
        request = next(iter(RequestParser(Config(), server, ("127.0.0.1", 1))))
        server.begin(request)
        if admitted:
            server.admit()
        headers = dict(request.headers)
        environ = {"gunicorn.socket": server, "wsgi.input": request.body}
        environ["wsgi.input_terminated"] = True
        environ["CONTENT_LENGTH"] = headers.get("CONTENT-LENGTH")
        environ["CONTENT_TYPE"] = headers.get("CONTENT-TYPE", "")
        return Connection(Body(environ), environ, client)

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.close()


def chunked(pieces: list[bytes]) -> bytes:
    """A chunked body (RFC 9112, 7.1), with an extension and a trailer."""
    data = b"".join(b"%x;a=b\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)
    return data + b"0\r\nX-Trailer: x\r\n\r\n"


def read(body: Body, sizes: list[int]) -> bytes:
    """Read to the end, in pieces of ``sizes`` over and over, by either way."""
    found = b""
    turn = 0
    while True:
        size = sizes[turn % len(sizes)]
        if turn % 2:
            buffer = bytearray(size)
            data = bytes(buffer[: body.readinto(memoryview(buffer))])
        else:
            data = body.read(size)
        assert len(data) <= size
        if not data:
            return found
        found += data
        turn += 1


SIZES = st.lists(st.integers(1, 100), min_size=1, max_size=3)


@given(st.binary(max_size=300), SIZES, st.data())
@settings(max_examples=40)
def test_a_body_of_known_length_is_read_however_it_comes(
    content: bytes, sizes: list[int], data: st.DataObject
) -> None:
    """A part comes with the head, the rest later; what follows belongs to the next request."""
    early = data.draw(st.integers(0, len(content)))
    wire = Wire()
    body, environ, client = wire.begin(f"Content-Length: {len(content)}", content[:early])
    client.sendall(content[early:] + b"GET / HTTP/1.1\r\n")
    assert body.length == len(content)
    assert read(body, sizes) == content
    assert body.received == len(content)
    assert body.read() == b""
    assert body.readinto(memoryview(bytearray(10))) == 0
    if content:
        assert environ["wsgi.input"].reader.length == 0, "the server has nothing to skip"
    wire.close()


@given(st.lists(st.binary(max_size=60), max_size=6), SIZES, st.data())
@settings(max_examples=40)
def test_a_chunked_body_is_read_however_it_comes(
    pieces: list[bytes], sizes: list[int], data: st.DataObject
) -> None:
    whole = chunked(pieces)
    early = data.draw(st.integers(0, len(whole)))
    wire = Wire()
    body, _, client = wire.begin("Transfer-Encoding: chunked", whole[:early])
    client.sendall(whole[early:])
    assert body.length is None
    assert read(body, sizes) == b"".join(pieces)
    assert body.received == len(b"".join(pieces))
    assert body.read() == b""
    wire.close()


CHUNKED = ("Transfer-Encoding: chunked", chunked([b"abc", b"defgh"]), b"abcdefgh")
KNOWN = ("Content-Length: 8", b"abcdefgh", b"abcdefgh")


@pytest.mark.parametrize(("head", "data", "content"), [KNOWN, CHUNKED], ids=["known", "chunked"])
def test_a_body_cut_anywhere_is_an_error(
    wire: Wire, head: str, data: bytes, content: bytes
) -> None:
    """What came before the cut is given, and it is never taken for the whole."""
    for length in range(len(data)):
        for early in (0, length):
            body, _, client = wire.begin(head, data[:early])
            client.sendall(data[early:length])
            client.close()
            found = b""
            with pytest.raises(BadRequest, match=r"the client disconnected|the body can't be read"):
                while piece := body.read(3):
                    found += piece
            assert content.startswith(found)


@pytest.mark.parametrize(
    "data", [b"x\r\nabc\r\n0\r\n\r\n", b"-1\r\n", b"3\r\nabcX\r\n0\r\n\r\n", b"\r\n\r\n"]
)
def test_chunks_that_are_malformed_are_a_bad_request(wire: Wire, data: bytes) -> None:
    body, environ, _ = wire.begin("Transfer-Encoding: chunked", data)
    with pytest.raises(BadRequest, match="the body can't be read"):
        body.read_all(1000)
    assert environ["wsgi.input"].failed, "the connection is not used again"


@pytest.mark.parametrize("into", [True, False])
def test_a_connection_that_is_reset_is_an_error(wire: Wire, into: bool) -> None:
    """As when a client ends without reading what it was sent: recv(2) fails with ECONNRESET."""
    body, environ, client = wire.begin("Content-Length: 8", b"abc")
    environ["gunicorn.socket"].sendall(b"unread")
    client.close()
    assert body.read(3) == b"abc"
    with pytest.raises(BadRequest, match="before the body was complete"):
        if into:
            body.readinto(memoryview(bytearray(10)))
        else:
            body.read(10)
    assert body.received == 3


def test_observers_find_the_body(wire: Wire) -> None:
    body, environ, _ = wire.begin("Content-Length: 3", b"abc")
    assert environ[BODY] is body


def test_a_client_is_not_asked_for_more_than_it_has_sent(wire: Wire) -> None:
    """It may wait for us before it sends the next chunk."""
    body, _, client = wire.begin("Transfer-Encoding: chunked", b"3\r\nabc\r\n")
    assert body.read(1000) == b"abc"
    client.sendall(b"2\r\nde\r\n0\r\n\r\n")
    assert body.read(1000) == b"de"
    assert body.read(1000) == b""


@pytest.mark.parametrize("head", ["Content-Length: 8", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("into", [True, False])
def test_a_client_that_stops_sending_is_a_timeout(wire: Wire, head: str, into: bool) -> None:
    body, _, _ = wire.begin(head, b"3\r\nabc" if "Transfer" in head else b"abc", patience=0.05)
    assert body.read(3) == b"abc"
    with pytest.raises(RequestTimeout, match="the client stopped sending the body"):
        if into:
            body.readinto(memoryview(bytearray(10)))
        else:
            body.read(10)


@pytest.mark.parametrize("method", [lambda body: body.read(), lambda body: body.read_all(100)])
def test_a_client_that_expects_to_be_invited_is(
    wire: Wire, method: Callable[[Body], bytes]
) -> None:
    """Once, when the body is wanted (RFC 9110, 10.1.1)."""
    body, _, client = wire.begin("Content-Length: 3\r\nExpect: 100-continue")
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(100)
    client.setblocking(True)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(method(body)))
    reader.start()
    assert client.recv(100) == CONTINUE
    client.sendall(b"abc")
    reader.join(PATIENCE)
    assert received == [b"abc"]
    body.read()
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(100)


def test_a_client_that_was_not_invited_has_nothing_to_drain(wire: Wire) -> None:
    body, _, client = wire.begin("Content-Length: 3\r\nExpect: 100-continue")
    body.drain()
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(100)


def test_draining_reads_to_the_end(wire: Wire) -> None:
    for head, data, content in (KNOWN, CHUNKED):
        body, _, client = wire.begin(head, data[:4])
        client.sendall(data[4:])
        body.read(1)
        body.drain()
        assert body.received == len(content)
        assert body.read() == b""


@pytest.mark.parametrize(("head", "data", "content"), [KNOWN, CHUNKED], ids=["known", "chunked"])
@pytest.mark.parametrize("limit", [0, 7, 8, 9])
def test_no_more_than_the_limit_is_taken(
    wire: Wire, head: str, data: bytes, content: bytes, limit: int
) -> None:
    body, _, _ = wire.begin(head, data)
    if limit >= len(content):
        assert body.read_all(limit) == content
    else:
        with pytest.raises(ContentTooLarge, match=f"limit .*{limit}"):
            body.read_all(limit)


def test_a_body_announced_as_too_long_is_not_waited_for(wire: Wire) -> None:
    body, _, _ = wire.begin("Content-Length: 1000")
    with pytest.raises(ContentTooLarge):
        body.read_all(999)
    assert body.received == 0


@pytest.mark.parametrize("length", ["0", None])
def test_no_body_is_read_at_once(wire: Wire, length: str | None) -> None:
    body, _, _ = wire.begin(f"Content-Length: {length}" if length else "X: y")
    assert (body.read(), body.read_all(0), list(body)) == (b"", b"", [])
    assert body.received == 0
    body.drain()


class Dribble(io.BytesIO):
    """The input of another server, which gives one byte at a time."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(1, size or 0))


def test_another_server_s_input_is_read_as_far_as_the_length(wire: Wire) -> None:
    stream = Dribble(b"abcdefgh")
    environ: dict[str, Any] = {"CONTENT_LENGTH": "5", "wsgi.input": stream}
    body = Body(environ)
    assert body.read(100) == b"a"
    assert read(body, [7]) == b"bcde"
    assert stream.tell() == 5
    short = Body({"CONTENT_LENGTH": "5", "wsgi.input": Dribble(b"abc")})
    with pytest.raises(BadRequest, match="the client disconnected"):
        short.read_all(10)
    assert short.received == 3


def info(environ: dict[str, Any]) -> RequestInfo:
    return RequestInfo("GET", "/", "", Headers(), environ)


def test_a_client_that_left_is_noticed(wire: Wire) -> None:
    _, environ, client = wire.begin("X: y")
    request = info(environ)
    assert not request.is_disconnected()
    client.sendall(b"more")
    assert not request.is_disconnected()
    client.shutdown(socket.SHUT_WR)
    assert request.is_disconnected()
    environ["gunicorn.socket"].close()
    assert not info(environ).is_disconnected()
    assert not info({}).is_disconnected()


@pytest.mark.parametrize(
    ("header", "expected"),
    [("Text/HTML; Charset=X", "text/html"), ("a/b;c", "a/b"), ("", ""), (" A/B ", "a/b")],
)
def test_a_media_type_has_no_parameters_and_no_case(header: str, expected: str) -> None:
    assert media_type(header) == expected


@pytest.mark.parametrize("data", [b"", b" \r\n\t"])
def test_an_empty_body_is_named(data: bytes) -> None:
    with pytest.raises(InvalidBody, match="the body is empty"):
        decode_json(data, dict)


def test_an_error_in_a_body_names_the_place_and_no_value() -> None:
    assert decode_json(b'{"a": [1]}', dict[str, list[int]]) == {"a": [1]}
    with pytest.raises(InvalidBody) as caught:
        decode_json(b'{"a": ["secret"]}', dict[str, list[int]])
    assert "$[...][0]" in caught.value.message
    assert "secret" not in caught.value.message
    with pytest.raises(InvalidBody):
        decode_json(b'{"a": ', dict)
