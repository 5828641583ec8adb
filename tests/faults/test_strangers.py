"""Strangers: clients that show no token. What they can hold has bounds of its own, and however
slow they are, those who have shown one are served.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import socket
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN
from toolbox.testing import Service

MANY = 300
"""More than the service has threads."""

SILENT = 10_000
ROOM = 30_000_000
"""Bytes the worker may grow by."""

THREADS = 30
"""Of the worker while it has little to do."""

BUNDLE = b"GET /page/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("service"))
    try:
        for _ in range(3):
            look(running)
        yield running
    finally:
        running.stop()


def look(service: Service) -> float:
    """Ask a new connection and an old one for something each; the longer time, in seconds."""
    began = time.monotonic()
    with service.client(None) as client:
        assert client.get("/healthz").status_code == 200
    between = time.monotonic()
    answer = service.http.post("/process/execute", json={"command": "echo hi"})
    assert answer.json() == {"exitCode": 0, "result": "hi\n"}
    return max(between - began, time.monotonic() - between)


def told(what: str, times: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    times.sort()
    p99 = times[int(len(times) * 0.99)]
    with capsys.disabled():
        print(f"\n{what}: p99 {p99 * 1e3:.0f} ms of {len(times)}", file=sys.stderr)
    assert times[-1] < DEADLINE / 2


def peak(pid: int) -> int:
    """Bytes of memory it had at most since this was last asked (proc_pid_clear_refs(5))."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return int(line.split()[1]) * 1024


def threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def connect(service: Service, data: bytes = b"") -> socket.socket:
    sock = socket.socket()
    sock.settimeout(DEADLINE)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", service.port))
    sock.sendall(data)
    return sock


def everything(sock: socket.socket) -> bytes:
    """All that comes until the service closes the connection."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while more := sock.recv(65536):
            data += more
    return data


class Slow(contextlib.ExitStack):
    """Connections that send a byte of the rest now and then, until the service closes them."""

    def __init__(self, service: Service, number: int, begin: bytes, rest: bytes) -> None:
        super().__init__()
        self.open = [self.enter_context(connect(service, begin)) for _ in range(number)]
        self._rest = rest
        self._sent = 0

    def go_on(self) -> None:
        at = self._sent % max(1, len(self._rest))
        byte = self._rest[at : at + 1]
        self._sent += 1
        for sock in list(self.open):
            try:
                if byte:
                    sock.send(byte, socket.MSG_DONTWAIT)
            except BlockingIOError:
                pass
            except OSError:
                sock.close()
                self.open.remove(sock)


def post(path: str, *headers: str, length: int = 8_000_000) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {length}", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


KINDS: dict[str, tuple[bytes, bytes]] = {
    "a slow body": (post("/init"), b" "),
    "a slow body in chunks": (
        b"POST /init HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"1\r\n \r\n",
    ),
    "a slow chunk extension": (
        b"POST /init HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;",
        b"x",
    ),
    "slow headers": (b"GET /version HTTP/1.1\r\nX: ", b"x"),
    "a slow request line": (b"GET /", b"x"),
    "a wrong token and a slow body": (
        post("/files/upload-v2?path=x", "Authorization: Bearer wrong"),
        b"x",
    ),
    "an unread answer": (BUNDLE, b""),
    "unread answers without end": (BUNDLE * 20, b""),
    "a body nobody asks for": (post("/healthz"), b"x"),
    "an expectation": (post("/init", "Expect: 100-continue"), b" "),
    "noise": (b"\x16\x03\x01\x02\x00\x01\x00", b"\xff"),
    "silence": (b"", b""),
}


@contextlib.contextmanager
def leaves_nothing(service: Service) -> Iterator[None]:
    """Whatever strangers do in the block costs little memory, and is all given back."""
    (worker,) = service.workers()
    peak(worker)
    before, opened = peak(worker), descriptors(worker)
    yield
    grown = peak(worker) - before
    assert grown < ROOM, f"{grown / 1e6:.0f} MB"
    service.wait_for(lambda: descriptors(worker) <= opened + 4, "the descriptors' return")
    assert service.workers() == [worker]
    assert "Traceback" not in service.log()


@pytest.mark.parametrize("kind", KINDS)
def test_hundreds_of_slow_strangers_hold_up_nobody(
    crowded: Service, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """F-B1, F-B2"""
    times = []
    with leaves_nothing(crowded), Slow(crowded, MANY, *KINDS[kind]) as slow:
        for _ in range(10):
            slow.go_on()
            times.append(look(crowded))
    told(f"{MANY} with {kind}", times, capsys)


def test_all_kinds_of_slow_strangers_at_once(
    crowded: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """F-B1, F-B2: 300 of each."""
    many_descriptors(MANY * len(KINDS) + 200)
    times = []
    with leaves_nothing(crowded), contextlib.ExitStack() as stack:
        slow = [stack.enter_context(Slow(crowded, MANY, *kind)) for kind in KINDS.values()]
        for _ in range(20):
            for each in slow:
                each.go_on()
            times.append(look(crowded))
    (worker,) = crowded.workers()
    crowded.wait_for(lambda: threads(worker) <= THREADS, "the threads' return")
    told("all kinds at once", times, capsys)


def many_descriptors(wanted: int) -> int:
    """Allow this process so many, or as many as it may; the number there are for connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted += 200
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    return min(wanted, hard) - 200


def test_thousands_of_silent_connections_hold_up_nobody(
    crowded: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """F-B2: the longest there give way, so there is always room for who has something to say."""
    with leaves_nothing(crowded), contextlib.ExitStack() as stack:
        times = []
        for number in range(many_descriptors(SILENT)):
            stack.enter_context(socket.create_connection(("127.0.0.1", crowded.port)))
            if not number % 250:
                times.append(look(crowded))
    told(f"{SILENT} silent", times, capsys)


def test_a_stranger_is_refused_before_the_body(crowded: Service) -> None:
    """F-B1: connection bound, headers, token, then body."""
    wrong = "Authorization: Bearer wrong"
    for request in (
        post("/init"),
        post("/process/execute"),
        post("/process/execute", wrong),
        post("/files/upload-v2?path=x", wrong, "Expect: 100-continue"),
        post("/no/such/path"),
        post("/process/execute", "Transfer-Encoding: chunked").replace(
            b"Content-Length: 8000000\r\n", b""
        ),
    ):
        with connect(crowded, request) as sock:
            answer = everything(sock)
            assert answer.startswith(b"HTTP/1.1 401 "), answer
            assert b"Connection: close" in answer


def test_a_caller_is_told_to_go_on(crowded: Service) -> None:
    """F-B1: 100 (RFC 9110, 10.1.1) comes after the token was seen, and before the body is."""
    body = b'{"command": "echo hi"}'
    token = f"Authorization: Bearer {TOKEN}"
    request = post("/process/execute", token, "Expect: 100-continue", length=len(body))
    with connect(crowded, request) as sock:
        assert sock.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        answer = sock.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        assert b"Connection: keep-alive" in answer


def test_who_is_refused_need_not_send_the_body_it_announced(crowded: Service) -> None:
    """F-B1: a refusal before 100 ends the connection, as nobody knows what will come on it."""
    token = f"Authorization: Bearer {TOKEN}"
    for path in ("/files/upload-v2", "/no/such/path"):
        with connect(crowded, post(path, token, "Expect: 100-continue")) as sock:
            answer = everything(sock)
            assert answer.startswith(b"HTTP/1.1 4"), answer
            assert b"100 Continue" not in answer


def test_the_first_token_is_taken_while_strangers_are_slow(
    make_service: Callable[..., Service],
) -> None:
    """F-B1: in mode init, where anybody may send a body, it is a small one, and few wait."""
    service = make_service(settings='[auth]\nmode = "init"\n', token=None)
    stranger = post("/init", length=60_000), b" "
    with leaves_nothing(service), Slow(service, MANY, *stranger) as slow:
        for _ in range(3):
            slow.go_on()
            assert service.http.get("/healthz").status_code == 200
        with connect(service, post("/init", length=100_000)) as sock:
            assert everything(sock).startswith(b"HTTP/1.1 413 ")
        assert service.http.post("/init", json={"token": TOKEN}).status_code == 200
    with service.client(TOKEN) as client:
        assert client.get("/readyz").status_code == 200


def test_callers_that_are_slow_hold_up_nobody(
    crowded: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """F-B1: who has the token may take a thread for a slow body, but not everybody's."""
    token = f"Authorization: Bearer {TOKEN}"
    upload = post("/files/upload-v2?path=slow", token), b"x"
    bundle = BUNDLE.replace(b"\r\n\r\n", f"\r\n{token}\r\n\r\n".encode()) * 50
    times = []
    with Slow(crowded, MANY + 100, *upload) as slow, Slow(crowded, 50, bundle, b""):
        for _ in range(10):
            slow.go_on()
            times.append(look(crowded))
    told(f"{MANY + 100} slow uploads", times, capsys)
    (worker,) = crowded.workers()
    crowded.wait_for(lambda: descriptors(worker) < 100, "the descriptors' return")


def test_a_slow_stranger_still_gets_a_page(crowded: Service) -> None:
    """Who takes something at all isn't cut off for those who take nothing."""
    request = BUNDLE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with Slow(crowded, 100, BUNDLE, b""), connect(crowded, request) as sock:
        got = 0
        while data := sock.recv(4096):
            got += len(data)
            if not got % 7:
                select.select([], [], [], 0.001)
    assert got > 1_000_000


def test_strangers_that_ask_without_end_hold_up_no_other_stranger(
    crowded: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """F-B2: a health check has no token either."""
    times = []
    endless = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100
    with leaves_nothing(crowded), contextlib.ExitStack() as stack:
        flood = [stack.enter_context(connect(crowded, endless)) for _ in range(50)]
        for sock in flood:
            sock.setblocking(False)
        for _ in range(20):
            for sock in flood:
                with contextlib.suppress(BlockingIOError):
                    while sock.recv(65536):
                        pass
                with contextlib.suppress(BlockingIOError):
                    sock.send(endless)
            times.append(look(crowded))
    told("50 that ask without end", times, capsys)
