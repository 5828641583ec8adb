"""Requests parsed and responses written here are what gunicorn makes of the same bytes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser
from gunicorn.http.wsgi import Response
from gunicorn.http.wsgi import create
from hypothesis import given
from hypothesis import strategies as st

from toolbox.serving.exchange.environs import Environs
from toolbox.serving.exchange.requests import Parser
from toolbox.serving.exchange.responses import COALESCED
from toolbox.serving.exchange.responses import WholeResponse
from toolbox.serving.lobby import Connection

CLIENT, SERVER = ("127.0.0.1", 1), ("127.0.0.2", 2)
ATTRIBUTES = (
    *("method", "uri", "path", "query", "fragment", "version", "headers", "trailers"),
    *("scheme", "must_close", "peer_addr", "remote_addr", "req_number"),
)

PLAIN = [
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET /a%20b/%2F%ff?x=%20&y=?/ HTTP/1.1\r\nHost: a:1\r\nAccept:*/*\r\nX-E:\r\n\r\n",
    b"GET /? HTTP/1.1\r\nhost: \t a \t \r\nX-Latin: \xe9\xff\r\nX-Colon: a: b\r\n\r\n",
    b"DELETE /a//b;c=[d]{e}|^ HTTP/1.1\r\nConnection: close\r\n!#$%&'*+.^`|~-: 1\r\n\r\n",
    b"POST /a HTTP/1.1\r\nContent-Length: 3\r\nContent-Type: a/b\r\n\r\nabcGET /",
    b"PUT /a HTTP/1.1\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n",
    b"CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n",
]
OTHER = [
    b"GET / HTTP/1.0\r\n\r\n",
    b"\r\nGET / HTTP/1.1\r\n\r\n",
    b"GET //a/b HTTP/1.1\r\n\r\n",
    b"GET /a#b HTTP/1.1\r\n\r\n",
    b"GET http://a/b HTTP/1.1\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\n\r\n",
    b"get / HTTP/1.1\r\n\r\n",
    b"GE / HTTP/1.1\r\n\r\n",
    b"GET  / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1 \r\n\r\n",
    b"GET /\xe9 HTTP/1.1\r\n\r\n",
    b"GET /\x7f HTTP/1.1\r\n\r\n",
    b"GET / HTTP/2.0\r\n\r\n",
    b"GET / HTTP/1.1\n\n",
    b"GET / HTTP/1.1\r\nA: b\n\r\n",
    b"GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n",
    b"GET / HTTP/1.1\r\nA : b\r\n\r\n",
    b"GET / HTTP/1.1\r\n: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nA\r\n\r\n",
    b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
    b"GET / HTTP/1.1\r\nA: \x00\r\n\r\n",
    b"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
    b"GET / HTTP/1.1\r\nA_B: c\r\n\r\n",
    b"GET / HTTP/1.1\r\nA: 1\r\nA: 2\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 1\r\nhost: 1\r\n\r\n",
    b"GET / HTTP/1.1\r\nX-Forwarded-Proto: https\r\n\r\n",
    b"PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
    b"PUT / HTTP/1.1\r\nContent-Length: +1\r\n\r\na",
    b"PUT / HTTP/1.1\r\nContent-Length: 1_0\r\n\r\na",
    b"PUT / HTTP/1.1\r\nContent-Length: \xb2\r\n\r\na",
    b"PUT / HTTP/1.1\r\nContent-Length:\r\n\r\na",
    b"PUT / HTTP/1.1\r\nContent-Length: " + b"1" * 5000 + b"\r\n\r\na",
    b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"PUT / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\na",
    b"PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
    b"PUT / HTTP/1.1\r\nExpect: other\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n",
    b"GET / HTTP/1.1\r\n" + b"".join(b"A%d: b\r\n" % i for i in range(101)) + b"\r\n",
    b"GET / HTTP/1.1\r\nA: " + b"b" * 8190 + b"\r\n\r\n",
]


def parsed(kind: type[RequestParser], data: bytes) -> tuple[object, Any]:
    """Return the parts of a head, or its error, as ``kind`` reads it, and the request."""
    # The bytes are one read: a head comes to the parser when it is complete.
    parser = kind(Config(), [data], CLIENT)
    try:
        request = next(parser)
    except Exception as error:
        return (type(error), str(error)), None
    parts = [getattr(request, name) for name in ATTRIBUTES]
    body = type(request.body.reader), getattr(request.body.reader, "length", None)
    rest = request.unreader.buf.getvalue()
    expects = request._expected_100_continue
    return (parts, body, rest, expects, request.should_close()), request


@pytest.mark.parametrize("data", PLAIN)
def test_plain_heads_are_parsed_here(data: bytes) -> None:
    ours, request = parsed(Parser, data)
    assert request.is_plain
    assert ours == parsed(RequestParser, data)[0]


@pytest.mark.parametrize("data", OTHER)
def test_all_others_are_left_to_gunicorn(data: bytes) -> None:
    ours, request = parsed(Parser, data)
    assert request is None or not request.is_plain
    assert ours == parsed(RequestParser, data)[0]


@given(st.sampled_from(PLAIN + OTHER[:34]), st.data())
def test_one_changed_byte_makes_no_difference(head: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(head)))
    piece = data.draw(st.sampled_from([b"", *(bytes([byte]) for byte in range(256))]))
    changed = head[:place] + piece + head[place + data.draw(st.integers(0, 1)) :]
    assert parsed(Parser, changed)[0] == parsed(RequestParser, changed)[0]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    theirs, ours = socket.socketpair()
    with theirs, ours:
        yield theirs, ours


@pytest.mark.parametrize("client", [CLIENT, ("::1", 5, 0, 0)])
@pytest.mark.parametrize("data", PLAIN)
def test_the_environment_is_gunicorns(data: bytes, client: Any, pair: Any) -> None:
    _, request = parsed(Parser, data)
    conn = Connection.__new__(Connection)
    conn.sock, conn.client, conn.server = pair[1], client, SERVER
    response, theirs = create(request, conn.sock, client, SERVER, Config())
    ours = Environs(Config()).make(request, conn, response)
    theirs["wsgi.multithread"] = True
    assert ours.keys() == theirs.keys()
    made = {"wsgi.errors", "wsgi.early_hints"}
    assert {k: v for k, v in ours.items() if k not in made} == {
        k: v for k, v in theirs.items() if k not in made
    }


HEADERS = [
    [],
    [("Content-Length", "3")],
    [("Content-Length", "2"), ("X-A", " b\t"), ("x-latin", "\xe9")],
    [("Content-Length", "3"), ("Connection", "close"), ("Server", "x")],
    [("X-A", "b\r\nX-C: d")],
    [("X A", "b")],
    [("X-A", 1)],
    [("Upgrade", "websocket"), ("Connection", "upgrade")],
]


def written(kind: type[Response], pair: Any, method: bytes, headers: Any, status: str) -> object:
    _, request = parsed(Parser, method + b" / HTTP/1.1\r\n\r\n")
    response = kind(request, pair[1], Config())
    try:
        response.start_response(status, headers)
    except Exception as error:
        return type(error), str(error)
    response.write(b"abc")
    response.write(b"")
    response.close()
    data = pair[0].recv(65536)
    lines = [line for line in data.split(b"\r\n") if not line.startswith(b"Date: ")]
    assert len(lines) == len(data.split(b"\r\n")) - 1
    return lines, response.sent, response.should_close(), response.headers_sent


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("headers", HEADERS)
def test_responses_are_gunicorns(pair: Any, method: bytes, status: str, headers: Any) -> None:
    ours = written(WholeResponse, pair, method, headers, status)
    assert ours == written(Response, pair, method, headers, status)


class Recorder:
    """A connection that keeps what is sent, call by call."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def sendall(self, data: bytes, flags: int = 0) -> None:
        self.sent.append(data)


def test_a_short_response_is_sent_at_once() -> None:
    sock = Recorder()
    _, request = parsed(Parser, PLAIN[0])
    response = WholeResponse(request, sock, Config())
    response.start_response("200 OK", [("Content-Length", "3")])
    response.write(b"abc")
    response.close()
    assert len(sock.sent) == 1
    assert sock.sent[0].endswith(b"\r\n\r\nabc")


@pytest.mark.parametrize("size", [1, COALESCED, COALESCED + 1, 1024 * 1024])
def test_chunks_of_any_size_are_framed_as_gunicorns(size: int) -> None:
    def sent(kind: type[Response]) -> list[bytes]:
        sock = Recorder()
        _, request = parsed(Parser, PLAIN[0])
        response = kind(request, sock, Config())
        response.start_response("200 OK", [])
        response.write(data)
        response.write(data[::2])
        response.close()
        return sock.sent

    data = bytes(size)
    ours = sent(WholeResponse)
    assert (
        b"".join(ours).partition(b"\r\n\r\n")[2]
        == (b"".join(sent(Response)).partition(b"\r\n\r\n")[2])
    )
    # Itself, not a copy: gunicorn 26 has no hook for that.
    assert not hasattr(Response, "_emit_body") or any(x is data for x in ours) == (size > COALESCED)
