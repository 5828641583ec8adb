"""Heads and handshakes as no client library sends them, and sockets that send too much."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest
import websocket

from toolbox.settings import WebSocketSettings
from toolbox.sockets.handler import Socket
from toolbox.sockets.handler import SocketHandler
from toolbox.sockets.loop import Loop
from toolbox.sockets.websocket import TURN
from toolbox.sockets.websocket import WebSocket
from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN
from toolbox.testing import Service

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
EVENTS = "/api/socket.io/?EIO=4&transport=websocket"


def head(line: str, *headers: str, token: bool = True) -> bytes:
    shown = [f"Authorization: Bearer {TOKEN}"] if token else []
    return "\r\n".join([line, "Host: localhost", *shown, *headers, "", ""]).encode()


def ask(service: Service, request: bytes) -> tuple[int, dict[str, object]]:
    """The status and the envelope of the answer to raw bytes."""
    with socket.create_connection(("127.0.0.1", service.port), DEADLINE) as sock:
        with contextlib.suppress(OSError):
            sock.sendall(request)
        data = b""
        with contextlib.suppress(ConnectionResetError):
            while b"\r\n\r\n" not in data or not data.endswith(b"}"):
                more = sock.recv(65536)
                if not more:
                    break
                data += more
    start, _, body = data.partition(b"\r\n\r\n")
    assert b"application/json" in start, data
    return int(start.split()[1]), json.loads(body)


GET = "GET /healthz HTTP/1.1"
LARGE: dict[str, tuple[bytes, int]] = {
    "a URL over the limit": (head(f"GET /healthz?{'x' * 70_000} HTTP/1.1"), 414),
    "a URL without end": (b"GET /" + b"x" * 400_000, 414),
    "a header over the limit": (head(GET, "X: " + "x" * 270_000), 431),
    "a header without end": (f"{GET}\r\nX: ".encode() + b"x" * 400_000, 431),
    "headers over the limit together": (
        head(GET, *[f"X{n}: {'x' * 9000}" for n in range(50)]),
        431,
    ),
    "too many headers": (head(GET, *[f"X{n}: 1" for n in range(101)]), 431),
    "an expectation nobody knows": (head(GET, "Expect: wonders"), 417),
    "a transfer coding nobody knows": (head(GET, "Transfer-Encoding: x, chunked"), 501),
    "length and chunks": (head(GET, "Content-Length: 5", "Transfer-Encoding: chunked"), 400),
    "two lengths": (head(GET, "Content-Length: 5", "Content-Length: 6"), 400),
    "a length that is none": (head(GET, "Content-Length: +5"), 400),
    "chunks that aren't last": (head(GET, "Transfer-Encoding: chunked, identity"), 400),
    "a blank before the colon": (head(GET, "X : 1"), 400),
    "a folded header": (head(GET, "X: 1", " 2"), 400),
    "a bare line feed": (head(GET, "X: 1\nY: 2"), 400),
    "lines without carriage returns": (b"GET /healthz HTTP/1.1\nHost: x\n\n", 400),
    "two hosts": (head(GET, "Host: other"), 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "noise": (b"\xff" * 100, 400),
}


@pytest.mark.parametrize("what", LARGE)
def test_status_and_envelope_agree_about_a_bad_head(service: Service, what: str) -> None:
    """F-C10"""
    request, expected = LARGE[what]
    status, answer = ask(service, request)
    assert (status, answer["statusCode"]) == (expected, expected)
    assert answer["source"] == "DAYTONA_DAEMON"
    assert answer["code"]
    assert service.http.get("/readyz").status_code == 200


@pytest.mark.parametrize("size", [8_100, 8_300, 60_000])
def test_long_urls_and_headers_are_taken(service: Service, size: int) -> None:
    """F-C10: gunicorn's own limit is 8,190 bytes."""
    assert service.http.get("/version", params={"x": "x" * size}).status_code == 200
    assert service.http.get("/version", headers={"X": "x" * size}).status_code == 200


def test_the_limits_are_settings(make_service: Callable[..., Service]) -> None:
    """F-C10"""
    settings = "[server]\nmax_url = 2000\nmax_head = 5000\nmax_headers = 20\n"
    service = make_service(settings=settings)
    for request, expected in (
        (head(f"GET /version?{'x' * 2100} HTTP/1.1"), 414),
        (head("GET /version HTTP/1.1", "X: " + "x" * 5000), 431),
        (head("GET /version HTTP/1.1", *["X: 1"] * 20), 431),
    ):
        status, answer = ask(service, request)
        assert (status, answer["statusCode"]) == (expected, expected)


def upgrade(path: str, *headers: str, key: str = KEY) -> bytes:
    return head(
        f"GET {path} HTTP/1.1",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        *headers,
    )


@pytest.mark.parametrize("key", ["abc", "!!!!", "dGhlIHNhbXBsZQ==", "A" * 24, KEY + KEY, "é" * 8])
def test_a_key_that_is_none_is_400(service: Service, key: str) -> None:
    """F-C17: 16 bytes in base64 (RFC 6455, 4.1)."""
    status, answer = ask(service, upgrade("/process/interpreter/execute", key=key))
    assert status == 400
    assert "Sec-WebSocket-Key" in str(answer["message"])


@pytest.mark.parametrize("length", ["Content-Length: 6", "Transfer-Encoding: chunked"])
def test_the_body_of_an_upgrade_is_not_taken_for_frames(service: Service, length: str) -> None:
    """F-C17"""
    ping = b"\x89\x80\0\0\0\0"
    status, answer = ask(service, upgrade("/process/interpreter/execute", length) + ping)
    assert (status, answer["message"]) == (400, "a WebSocket handshake has no body")


def test_an_upgrade_of_a_plain_path_is_told_so(service: Service) -> None:
    """F-C17"""
    for path in ("/version", "/readyz", "/files?path=."):
        status, answer = ask(service, upgrade(path))
        assert status in (400, 404)
        assert "browser" not in str(answer["message"])


@pytest.mark.parametrize("path", ["/version", "/work-dir", "/process/interpreter/execute"])
@pytest.mark.parametrize(
    "lines",
    [
        ["Connection: Upgrade, close", "Upgrade: websocket"],
        ["Connection: Upgrade", "Connection: Close", "Upgrade: websocket"],
        ["Connection: TE,close"],
        ["Connection: keep-alive", "Connection: close"],
    ],
)
def test_who_says_that_it_closes_gets_one_answer(
    service: Service, path: str, lines: list[str]
) -> None:
    """F-C17: of a list of options each counts (RFC 9112, 9.3)."""
    with socket.create_connection(("127.0.0.1", service.port), DEADLINE) as sock:
        sock.sendall(head(f"GET {path} HTTP/1.1", *lines))
        data = b""
        while more := sock.recv(65536):
            data += more
    assert b"\r\nConnection: close\r\n" in data


UNREAD: dict[str, tuple[list[str], bytes, int]] = {
    "a body over the limit": (["Content-Length: 900000000"], b"x", 413),
    "a body of chunks over the limit": (
        ["Transfer-Encoding: chunked"],
        b"900000\r\n" + b"x" * 0x900000 + b"\r\n",
        413,
    ),
    "no chunk": (["Transfer-Encoding: chunked"], b"zz\r\n", 400),
    "a chunk without end": (["Transfer-Encoding: chunked"], b"3\r\nabcd\r\n0\r\n\r\n", 400),
}


@pytest.mark.parametrize("what", UNREAD)
def test_an_answer_after_which_the_connection_ends_says_so(service: Service, what: str) -> None:
    """F-C10: a client that keeps it would lose its next request (RFC 9112, 9.6)."""
    headers, body, status = UNREAD[what]
    with socket.create_connection(("127.0.0.1", service.port), DEADLINE) as sock:
        with contextlib.suppress(OSError):
            sock.sendall(head("POST /process/execute HTTP/1.1", *headers) + body)
        data = one_answer(sock)
    assert data.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"\r\nConnection: close\r\n" in data


def test_an_error_alone_ends_no_connection(service: Service) -> None:
    """F-C10"""
    with socket.create_connection(("127.0.0.1", service.port), DEADLINE) as sock:
        for path, length, body in (
            ("/process/execute", "Content-Length: 5", b"[1,2]"),
            ("/process/execute", "Transfer-Encoding: chunked", b"5\r\n[1,2]\r\n0\r\n\r\n"),
            ("/nowhere", "Content-Length: 5", b"[1,2]"),
        ):
            sock.sendall(head(f"POST {path} HTTP/1.1", length) + body)
            assert b"\r\nConnection: keep-alive\r\n" in one_answer(sock)


def one_answer(sock: socket.socket) -> bytes:
    data = b""
    while b"}" not in data:
        more = sock.recv(65536)
        assert more, data
        data += more
    return data


def test_frames_that_came_with_the_handshake_are_answered(service: Service) -> None:
    """Who doesn't wait for the 101 loses nothing."""
    ping = b"\x89\x82\0\0\0\0hi"
    with socket.create_connection(("127.0.0.1", service.port), DEADLINE) as sock:
        sock.sendall(upgrade("/process/interpreter/execute") + ping)
        data = b""
        while b"\x8a\x02hi" not in data:
            more = sock.recv(65536)
            assert more, data
            data += more


class Flood:
    """A socket on which frames are sent as fast as they are taken, on a thread."""

    def __init__(self, ws: websocket.WebSocket, frames: bytes) -> None:
        self._sock = ws.sock
        self._frames = frames
        self._over = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while not self._over:
                self._sock.sendall(self._frames)

    def stop(self) -> None:
        self._over = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(DEADLINE)


def delays(service: Service, number: int) -> list[float]:
    """Seconds a terminal's echo takes, so many times, in order."""
    service.http.post("/process/pty", json={"id": "echo"}).raise_for_status()
    ws = service.websocket("/process/pty/echo/connect")
    times = []
    for each in range(number):
        began = time.monotonic()
        ws.send_binary(f"echo $(({each} + 7000))\r".encode())
        seen = ""
        while str(each + 7000) not in seen:
            data = ws.recv()
            seen += data.decode("utf-8", "replace") if isinstance(data, bytes) else data
        times.append(time.monotonic() - began)
    ws.close()
    service.http.delete("/process/pty/echo").raise_for_status()
    return sorted(times)


@pytest.mark.parametrize("frame", [b"\x8a\x80\0\0\0\0", b"\x82\x80\0\0\0\0"], ids=["pong", "empty"])
def test_small_frames_delay_no_other_socket(
    service: Service, frame: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """F-B5: a socket's frames are acted on a few at a time."""
    ws = service.websocket("/process/interpreter/execute")
    flood = Flood(ws, frame * 20_000)
    try:
        times = delays(service, 20)
    finally:
        flood.stop()
        ws.close()
    with capsys.disabled():
        print(f"\nbeside a flood: an echo takes {times[-1] * 1e3:.0f} ms at most", file=sys.stderr)
    assert times[-1] < DEADLINE / 2


def test_a_stranger_may_send_little_until_it_shows_the_token(service: Service) -> None:
    """F-B5"""
    ws = service.websocket(EVENTS, authorized=False)
    ws.recv()
    with contextlib.suppress(OSError):
        for _ in range(200):
            ws.send("2")
    code = None
    while code is None:
        opcode, data = ws.recv_data(control_frame=True)
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            code = int.from_bytes(data[:2], "big")
    assert code == 1008
    ws.close()


def test_who_has_shown_the_token_may_send_much(service: Service) -> None:
    """F-B5: the bounds are for strangers."""
    ws = service.websocket(EVENTS, authorized=False)
    ws.recv()
    ws.send("40" + json.dumps({"token": TOKEN}))
    assert str(ws.recv()).startswith("40")
    for _ in range(200):
        ws.send("2")
    assert [ws.recv() for _ in range(200)] == ["3"] * 200
    ws.close()


def test_a_socket_of_a_stranger_can_always_be_opened(service: Service) -> None:
    """F-B5: of too many that show no token the oldest gives way."""
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            ws = service.websocket(EVENTS, authorized=False)
            stack.callback(ws.close)
        last = service.websocket(EVENTS, authorized=False)
        stack.callback(last.close)
        last.recv()
        last.send("40" + json.dumps({"token": TOKEN}))
        assert str(last.recv()).startswith("40")


class Counting(SocketHandler):
    """Counts the messages of each turn of the loop."""

    def __init__(self, loop: Loop, expected: int) -> None:
        self.of_turn: Counter[int] = Counter()
        self.done = threading.Event()
        self._loop = loop
        self._expected = expected
        self._turn = 0

    def opened(self, ws: Socket) -> None:
        self._loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._turn += 1
        if not self.done.is_set():
            self._loop.call_soon(self._next_turn)

    def received(self, ws: Socket, message: str | bytes) -> None:
        self.of_turn[self._turn] += 1
        if self.of_turn.total() == self._expected:
            self.done.set()


def test_a_turn_of_the_loop_takes_few_frames_of_one_socket() -> None:
    """F-B5: 10,000 messages in one piece are spread over many turns."""
    loop = Loop()
    loop.start()
    ours, theirs = socket.socketpair()
    handler = Counting(loop, 10_000)
    ws = WebSocket(ours, loop, handler, WebSocketSettings(), lambda *_: None, b"101")
    ws.start()
    with theirs:
        theirs.sendall(b"\x82\x80\0\0\0\0" * 10_000)
        assert handler.done.wait(DEADLINE)
    loop.stop()
    assert max(handler.of_turn.values()) <= 2 * TURN
