"""WebSockets through the proxy."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import websocket

from toolbox.testing import TOKEN
from toolbox.testing import Service

MIB = 1024 * 1024


def close_of(ws: websocket.WebSocket) -> tuple[int, str]:
    """Receive up to the close frame; return its code and reason."""
    while True:
        opcode, data = ws.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return struct.unpack("!H", data[:2])[0], data[2:].decode()


def upgrade(service: Service, path: str, *lines: str) -> tuple[socket.socket, bytes]:
    """Send a handshake; return the connection and the head of the response."""
    head = [
        f"GET {path} HTTP/1.1",
        "Host: x",
        "Connection: keep-alive, Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        *lines,
    ]
    sock = socket.create_connection(("127.0.0.1", service.port), 60)
    sock.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = sock.recv(1)
        assert piece, answer
        answer += piece
    return sock, answer


def headers_of(app: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in app.requests[-1]["headers"]}


def descriptors(service: Service) -> int:
    return len(os.listdir(f"/proc/{service.workers()[0]}/fd"))


def test_messages_go_both_ways(service: Service, app: Any) -> None:
    with contextlib.closing(service.websocket(f"/proxy/{app.port}/ws?a=%2F")) as ws:
        assert ws.recv() == "hello"
        ws.send("tëxt")
        assert ws.recv() == "tëxt"
        ws.send_binary(b"\x00\xff" * 40_000)
        assert ws.recv() == b"\x00\xff" * 40_000
        ws.ping("are you there")
        assert ws.recv_data(control_frame=True) == (websocket.ABNF.OPCODE_PONG, b"are you there")
    found = headers_of(app)
    assert app.requests[-1]["target"] == "/ws?a=%2F"
    assert found["host"] == f"localhost:{app.port}"
    assert (found["connection"], found["upgrade"]) == ("Upgrade", "websocket")
    assert found["x-forwarded-prefix"] == f"/proxy/{app.port}"
    assert "authorization" not in found


def test_the_applications_close_arrives(service: Service, app: Any) -> None:
    with contextlib.closing(service.websocket(f"/proxy/{app.port}/ws")) as ws:
        ws.send("bye")
        assert close_of(ws) == (4001, "as you wish")


def test_the_clients_end_arrives(service: Service, app: Any) -> None:
    ws = service.websocket(f"/proxy/{app.port}/ws")
    ws.recv()
    ws.shutdown()
    assert app.left.acquire(timeout=60)


def test_a_refusal_is_an_answer_in_the_applications_words(service: Service, app: Any) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException) as refusal:
        service.websocket(f"/proxy/{app.port}/forbidden")
    assert refusal.value.status_code == 403
    assert refusal.value.resp_body == b"members only"
    assert refusal.value.resp_headers is not None
    assert refusal.value.resp_headers["x-reason"] == "no"


def test_nobody_listens_is_502(service: Service, app: Any) -> None:
    app.stop()
    with pytest.raises(websocket.WebSocketBadStatusException, match="502") as refusal:
        service.websocket(f"/proxy/{app.port}/ws")
    assert b'"code":"BAD_GATEWAY"' in (refusal.value.resp_body or b"")


def test_the_token_as_a_subprotocol_stays_here(service: Service, app: Any) -> None:
    # AC-92, F-E18
    token = f"X-Toolbox-Token~{TOKEN}"
    path = f"/proxy/{app.port}/ws"
    sock, answer = upgrade(service, path, f"Sec-WebSocket-Protocol: {token}")
    sock.close()
    assert "sec-websocket-protocol" not in headers_of(app)
    assert TOKEN.encode() not in answer
    # A browser that offered some requires that one of them is chosen.
    sock, answer = upgrade(service, path, f"Sec-WebSocket-Protocol: {token}, toolbox")
    sock.close()
    assert "sec-websocket-protocol" not in headers_of(app)
    assert b"\r\nSec-WebSocket-Protocol: toolbox\r\n" in answer
    path += "?choose=chat"
    sock, answer = upgrade(service, path, f"Sec-WebSocket-Protocol: chat, {token}, more")
    sock.close()
    assert headers_of(app)["sec-websocket-protocol"] == "chat, more"
    assert b"\r\nSec-WebSocket-Protocol: chat\r\n" in answer
    assert answer.count(b"Sec-WebSocket-Protocol") == 1


def test_the_token_in_the_query_stays_here(service: Service, app: Any) -> None:
    path = f"/proxy/{app.port}/ws?a=1&DAYTONA_SANDBOX_AUTH_KEY={TOKEN}"
    service.websocket(path, authorized=False).close()
    assert app.requests[-1]["target"] == "/ws?a=1"


def test_a_page_of_its_own_may_open_a_websocket(service: Service, app: Any) -> None:
    # F-C12, F-B9
    ticket = service.http.post("/x/tickets").json()["ticket"]
    service.websocket(
        f"/proxy/{app.port}/ws?TOOLBOX_TICKET={ticket}", authorized=False, origin=service.url
    ).close()
    assert app.requests[-1]["target"] == "/ws"
    assert headers_of(app)["origin"] == f"http://localhost:{app.port}"


def test_nothing_without_the_token(service: Service, app: Any) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
        service.websocket(f"/proxy/{app.port}/ws", authorized=False)
    assert not app.requests


def test_what_the_client_sends_at_once_is_not_lost(service: Service, app: Any) -> None:
    frame = websocket.ABNF.create_frame("early", websocket.ABNF.OPCODE_TEXT).format()
    head = (
        f"GET /proxy/{app.port}/ws HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 0\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", service.port), 60) as sock:
        sock.sendall(head.encode() + frame)
        answer = b""
        while not answer.endswith(b"\x81\x05hello\x81\x05early"):
            piece = sock.recv(65536)
            assert piece, answer
            answer += piece


def test_a_hundred_at_once(service: Service, app: Any) -> None:
    sockets = [service.websocket(f"/proxy/{app.port}/ws") for _ in range(100)]
    tasks = len(os.listdir(f"/proc/{service.workers()[0]}/task"))

    def talk(number: int) -> bool:
        ws = sockets[number]
        assert ws.recv() == "hello"
        for turn in range(20):
            ws.send(f"{number}.{turn}" * 100)
            if ws.recv() != f"{number}.{turn}" * 100:
                return False
        return True

    with ThreadPoolExecutor(100) as pool:
        assert all(pool.map(talk, range(100)))
    assert tasks < 80, "no thread belongs to a tunnel"
    for ws in sockets:
        ws.close()


def memory(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_side_that_is_slow_stops_the_other(service: Service, app: Any) -> None:
    (worker,) = service.workers()
    sock, _ = upgrade(service, f"/proxy/{app.port}/ws", f"Authorization: Bearer {TOKEN}")
    frame = websocket.ABNF.create_frame(bytes(MIB), websocket.ABNF.OPCODE_BINARY).format()
    before, sent = memory(worker), 0
    with sock, contextlib.suppress(TimeoutError):
        sock.settimeout(2)
        # The application echoes and the client doesn't read, so at some point all buffers are full.
        while sent < 1024:
            sock.sendall(frame)
            sent += 1
    assert 0 < sent < 1024
    assert memory(worker) - before < 16 * MIB
    assert app.left.acquire(timeout=60)


def test_large_messages_pass_whole(service: Service, app: Any) -> None:
    message = os.urandom(20 * MIB)
    with contextlib.closing(service.websocket(f"/proxy/{app.port}/ws")) as ws:
        ws.recv()
        with ThreadPoolExecutor() as pool:
            sending = pool.submit(ws.send_binary, message)
            assert ws.recv() == message
            sending.result()


def test_coming_and_going_leaves_nothing_behind(service: Service, app: Any) -> None:
    # AC-45
    service.websocket(f"/proxy/{app.port}/ws").close()
    before = descriptors(service)
    for number in range(100):
        ws = service.websocket(f"/proxy/{app.port}/ws")
        if number % 2:
            ws.close()
        else:
            assert ws.sock is not None
            ws.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            ws.shutdown()
    service.wait_for(lambda: descriptors(service) <= before + 16, "the descriptors")
    for _ in range(101):
        assert app.left.acquire(timeout=60)


def test_tunnels_count_as_sockets_and_end_with_the_service(
    make_service: Callable[..., Service], app: Any
) -> None:
    # AC-47
    service = make_service(settings="[websocket]\nmax_sockets = 1\n[log]\naccess = true")
    for _ in range(3):
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            service.websocket(f"/proxy/{app.port}/forbidden")
    with contextlib.closing(service.websocket(f"/proxy/{app.port}/ws")) as ws:
        with pytest.raises(websocket.WebSocketBadStatusException, match="503"):
            service.websocket(f"/proxy/{app.port}/ws")
        assert ws.recv() == "hello"
        service.stop()
        assert app.left.acquire(timeout=60)
    assert f"'/proxy/{app.port}/ws' 1001 in=0" in service.log()
