"""Clients that are slow, silent, gone or half there. Each may hold its own connection up and
nobody else's; afterwards nothing of it is left.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from toolbox.processes import descendants
from toolbox.testing import DEADLINE
from toolbox.testing import Service

MANY = 300
"""More than the service has threads."""

SETTINGS = "[server]\nheader_timeout = 2\nstall_timeout = 2\n"


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that cuts slow clients off after two seconds."""
    running = Service(tmp_path_factory.mktemp("service"), settings=SETTINGS)
    (running.work_dir / "big").write_bytes(b"x" * (64 << 20))
    try:
        yield running
    finally:
        running.stop()


def head(service: Service, method: str, path: str, *headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {service.token}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode()


def connect(service: Service) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), DEADLINE)


def connections(service: Service) -> int:
    """Open descriptors of the worker that are sockets."""
    (worker,) = service.workers()
    count = 0
    for fd in os.scandir(f"/proc/{worker}/fd"):
        try:
            count += os.readlink(fd.path).startswith("socket:")
        except OSError:
            continue
    return count


@contextmanager
def leaves_nothing(service: Service) -> Iterator[int]:
    """Whatever happens in the block, the service is afterwards as before; how many connections
    there are.
    """
    service.http.get("/readyz").raise_for_status()
    before = connections(service)
    running = set(descendants(service.process.pid))
    logged = len(service.log())
    yield before
    assert service.http.get("/readyz").status_code == 200
    service.wait_for(lambda: connections(service) <= before, "the end of the connections")
    service.wait_for(
        lambda: not set(descendants(service.process.pid)) - running, "the end of what was started"
    )
    assert "Traceback" not in service.log()[logged:]


def ended(sock: socket.socket) -> bytes:
    """All that still comes until the service closes the connection."""
    data = b""
    try:
        while more := sock.recv(65536):
            data += more
    except ConnectionResetError:
        pass
    return data


def test_hundreds_that_send_a_byte_now_and_then_hold_up_nobody(impatient: Service) -> None:
    with leaves_nothing(impatient):
        slow = [connect(impatient) for _ in range(MANY)]
        line = head(impatient, "GET", "/version")
        deadline = time.monotonic() + DEADLINE
        gone: set[socket.socket] = set()
        sent = 0
        while len(gone) < MANY and time.monotonic() < deadline:
            for sock in slow:
                if sock in gone:
                    continue
                try:
                    sock.send(line[sent % len(line) : sent % len(line) + 1])
                    if sent and not sock.recv(1, socket.MSG_DONTWAIT):
                        gone.add(sock)
                except BlockingIOError:
                    pass
                except OSError:
                    gone.add(sock)
            sent = min(sent + 1, len(line) - 3)  # The end of the head never comes.
            assert impatient.http.get("/version").status_code == 200
        assert len(gone) == MANY
        for sock in slow:
            sock.close()


def test_hundreds_that_only_connect_hold_up_nobody(impatient: Service) -> None:
    with leaves_nothing(impatient):
        idle = [connect(impatient) for _ in range(MANY)]
        for _ in range(20):
            assert impatient.http.get("/version").status_code == 200
        for sock in idle:
            sock.close()


def test_bodies_that_stall_are_cut_off(impatient: Service) -> None:
    with leaves_nothing(impatient):
        stalled = []
        for number in range(40):
            sock = connect(impatient)
            path = f"/files/upload-v2?path=stalled-{number}"
            sock.sendall(head(impatient, "POST", path, "Content-Length: 1000") + b"x")
            stalled.append(sock)
        assert impatient.http.get("/version").status_code == 200
        for sock in stalled:
            answer = ended(sock)
            assert not answer or b" 400 " in answer.split(b"\r\n")[0] or b" 408 " in answer
            sock.close()
    assert not [each for each in os.listdir(impatient.work_dir) if "stalled" in each]


def test_clients_that_never_read_are_cut_off(impatient: Service) -> None:
    # AC-27
    with leaves_nothing(impatient) as before:
        deaf = []
        for _ in range(20):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.settimeout(DEADLINE)
            sock.connect(("127.0.0.1", impatient.port))
            sock.sendall(head(impatient, "GET", "/files/download?path=big"))
            deaf.append(sock)
        assert impatient.http.get("/version").status_code == 200
        impatient.wait_for(lambda: connections(impatient) <= before, "being cut off")
        for sock in deaf:
            sock.close()


LENGTH = "Content-Length: 999999"
PARTS = (
    b'--b\r\nContent-Disposition: form-data; name="files[0].path"\r\n\r\nhalf\r\n'
    b'--b\r\nContent-Disposition: form-data; name="files[0].file"; filename="x"\r\n\r\nyy'
)
LEAVING: dict[str, tuple[tuple[str, ...], bytes]] = {
    "upload": (("POST", "/files/upload-v2?path=half", LENGTH), b"x" * 9),
    "chunk": (("POST", "/files/upload-v2?path=half", "Transfer-Encoding: chunked"), b"f\r\nx"),
    "parts": (
        ("POST", "/files/bulk-upload", LENGTH, "Content-Type: multipart/form-data; boundary=b"),
        PARTS,
    ),
    "archive in": (("PUT", "/x/files/archive?path=half", LENGTH), b"\0" * 9),
    "body": (("POST", "/process/execute", LENGTH), b'{"command": '),
    "download": (("GET", "/files/download?path=big"), b""),
    "archive out": (("GET", "/x/files/archive?path=."), b""),
    "stream": (("GET", "/x/ports/events"), b""),
    "search": (("GET", "/files/find?path=/usr/lib/python3&pattern=e"), b""),
}
"""A request, and as much of its body as is sent; without one, the answer is begun to be read."""


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("what", LEAVING)
def test_a_client_that_leaves_in_the_middle_leaves_nothing(
    impatient: Service, what: str, reset: bool
) -> None:
    request, body = LEAVING[what]
    with leaves_nothing(impatient):
        for _ in range(5):
            with connect(impatient) as sock:
                sock.sendall(head(impatient, *request) + body)
                if not body:
                    assert sock.recv(100).startswith(b"HTTP/1.1 200")
                if reset:
                    linger = struct.pack("ii", 1, 0)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    assert os.listdir(impatient.work_dir) == ["big"]


@pytest.mark.parametrize(
    "path", ["/process/pty/create-connect?id=gone", "/process/interpreter/execute"]
)
def test_a_client_that_leaves_during_the_handshake_leaves_nothing(
    impatient: Service, path: str
) -> None:
    upgrade = head(
        impatient,
        "GET",
        path,
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    running = set(descendants(impatient.process.pid))
    with leaves_nothing(impatient) as before:
        for cut in (10, len(upgrade) - 2, len(upgrade)):
            with connect(impatient) as sock:
                sock.sendall(upgrade[:cut])
        # Accepted after those, so they have been by then, and are there until they are answered.
        with impatient.client(None) as client:
            client.get("/healthz")
        impatient.wait_for(lambda: connections(impatient) <= before, "the answers")
        # A terminal outlives its client until it is deleted, as far as it was made at all.

        def deleted() -> bool:
            impatient.http.delete("/process/pty/gone")
            return not set(descendants(impatient.process.pid)) - running

        impatient.wait_for(deleted, "the terminal's end")


def test_a_socket_that_is_half_closed_gets_its_answer(impatient: Service) -> None:
    """RFC 9112, section 9.6: who has sent all it will may say so, and still wants the answer."""
    with leaves_nothing(impatient):
        body = b'{"command": "sleep 0.3; echo late"}'
        with connect(impatient) as sock:
            path, length = "/process/execute", f"Content-Length: {len(body)}"
            sock.sendall(head(impatient, "POST", path, length) + body)
            sock.shutdown(socket.SHUT_WR)
            assert b"late" in ended(sock)
