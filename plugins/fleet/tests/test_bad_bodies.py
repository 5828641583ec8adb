"""Request bodies that are no bodies, by each way into a sandbox: the client's fault, and no 502."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN

GOOD = b'11\r\n{"command":"true"\r\n1\r\n}\r\n'
BAD = {
    "a size that is no number": b"zz\r\nabc\r\n0\r\n\r\n",
    "a size with a sign": b"-3\r\nabc\r\n0\r\n\r\n",
    "no size": b"\r\nabc",
    "a size of 64 bits": b"ffffffffffffffff\r\nabc",
    "a size over 64 bits": b"10000000000000000\r\nabc",
    "a size without end": b"0" * 10_000,
    "an extension without end": b"2;" + b"a" * 10_000,
    "a chunk without end": b"3\r\nabcXX0\r\n\r\n",
    "a later chunk": b"10000\r\n" + b"x" * 0x10000 + b"\r\nzz\r\n",
    "a trailer that is none": GOOD + b"0\r\nno trailer\r\n\r\n",
    "a trailer that frames": GOOD + b"0\r\nContent-Length: 5\r\n\r\n",
}
CUT = {"before a chunk": b"", "in a chunk": b"5\r\nab", "before the last chunk": GOOD}


def api(fleet: Any, app: Any) -> tuple[int, str]:
    return fleet.plane.port, "/toolbox/box/process/execute"


def port(fleet: Any, app: Any) -> tuple[int, str]:
    return fleet.plane.port, f"/toolbox/box/proxy/{app.port}/x"


def preview(fleet: Any, app: Any) -> tuple[int, str]:
    number = urlsplit(fleet.preview(app.port)["url"]).port
    assert number is not None
    return number, "/x"


WAYS = pytest.mark.parametrize("way", [api, port, preview])


def send(address: tuple[int, str], body: bytes, *, then_end: bool = False) -> bytes:
    """Send a request with a chunked body; return the response."""
    number, path = address
    with socket.create_connection(("127.0.0.1", number), DEADLINE) as sock:
        sock.sendall(
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{number}\r\nAuthorization: Bearer {TOKEN}\r\n"
            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
            + body
        )
        if then_end:
            sock.shutdown(socket.SHUT_WR)
        data = b""
        while not data.endswith(b"}") and (more := sock.recv(65536)):
            data += more
    return data


@WAYS
def test_a_malformed_body_is_400(fleet: Any, app: Any, way: Any) -> None:
    address = way(fleet, app)
    for name, body in BAD.items():
        data = send(address, body)
        assert data.startswith(b"HTTP/1.1 400 "), (name, data)
        assert b"the body can't be read" in data, (name, data)
        # Where the next request begins nobody knows.
        assert b"\r\nConnection: close\r\n" in data, (name, data)


@WAYS
def test_a_body_that_is_cut_is_400(fleet: Any, app: Any, way: Any) -> None:
    address = way(fleet, app)
    for name, body in CUT.items():
        data = send(address, body, then_end=True)
        assert data.startswith(b"HTTP/1.1 400 "), (name, data)


@WAYS
def test_a_body_with_trailers_arrives(fleet: Any, app: Any, way: Any) -> None:
    data = send(way(fleet, app), GOOD + b"0\r\nX-Checksum: 1\r\n\r\n")
    assert data.startswith(b"HTTP/1.1 200 "), data
