"""The Socket.IO connection every SDK client opens."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import socketio  # type: ignore[import-untyped]
import websocket
from toolbox_standalone import events
from toolbox_standalone.events import EventSocket

from toolbox.auth import Auth
from toolbox.loop import Loop
from toolbox.settings import WebSocketSettings
from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN
from toolbox.testing import Service
from toolbox.websocket import WebSocket

PATH = "/api/socket.io/?EIO=4&transport=websocket"
CLOSED = 8
"""The opcode of a close frame (RFC 6455, 5.2)."""


def connect(service: Service, path: str = PATH) -> websocket.WebSocket:
    """Connect as the SDKs do: without a header of authorization."""
    return websocket.create_connection(f"ws://127.0.0.1:{service.port}{path}", timeout=DEADLINE)


def receive(ws: websocket.WebSocket) -> tuple[str, Any]:
    """The kind of the next packet and its data."""
    packet = ws.recv()
    assert isinstance(packet, str)
    kind = packet[: len(packet) - len(packet.lstrip("0123456789"))]
    return kind, json.loads(packet.removeprefix(kind) or "null")


def hang_up(ws: websocket.WebSocket) -> None:
    """Close, also after a close frame has come: then ``close`` alone leaves the socket open."""
    ws.close()
    if ws.sock:
        ws.sock.close()


def close_code(ws: websocket.WebSocket) -> int:
    opcode, data = ws.recv_data(control_frame=True)
    assert opcode == CLOSED
    return int.from_bytes(data[:2])


def test_a_client_connects_and_stays(service: Service) -> None:
    client = socketio.Client(reconnection=False)
    client.connect(
        f"{service.url}?source=test",
        socketio_path="/api/socket.io/",
        auth={"token": TOKEN},
        transports=["websocket"],
    )
    assert client.connected
    client.disconnect()


def test_a_client_with_another_token_is_told_so(service: Service) -> None:
    client = socketio.Client(reconnection=False)
    refused: list[dict[str, str]] = []
    client.on("connect_error", refused.append)
    with pytest.raises(socketio.exceptions.ConnectionError):
        client.connect(
            service.url,
            socketio_path="/api/socket.io/",
            auth={"token": "wrong"},
            transports=["websocket"],
        )
    assert refused == [{"message": "the bearer token is not right"}]


def test_the_packets(service: Service) -> None:
    ws = connect(service)
    kind, handshake = receive(ws)
    assert kind == "0"
    assert set(handshake) == {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}
    assert handshake["upgrades"] == []
    ws.send("40" + json.dumps({"token": TOKEN}))
    kind, connected = receive(ws)
    assert (kind, set(connected)) == ("40", {"sid"})
    ws.send("2probe")
    assert ws.recv() == "3probe"
    for ignored in ("3", '42["an event",{}]', "6", "", "junk", b"\x00\xff"):
        ws.send(ignored) if isinstance(ignored, str) else ws.send_binary(ignored)
    ws.send("2")
    assert ws.recv() == "3"
    ws.send("41")
    assert close_code(ws) == 1000
    hang_up(ws)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "{}",
        "[]",
        "{",
        '{"token":""}',
        '{"token":"wrong"}',
        '{"token":"\\u00e4"}',
        '{"token":1}',
        f'"{TOKEN}"',
        f'{{"token":"Bearer {TOKEN}"}}',
        "[" * 10_000,
        '{"x":' * 10_000,
    ],
)
def test_another_token_is_refused_for_good(service: Service, data: str) -> None:
    ws = connect(service)
    receive(ws)
    ws.send("40" + data)
    kind, error = receive(ws)
    assert kind == "44"
    assert TOKEN not in error["message"]
    ws.send("40" + json.dumps({"token": TOKEN}))
    ws.send("2")
    assert ws.recv() == "3", "there is no second chance"
    hang_up(ws)


def test_in_mode_none_no_token_is_needed(make_service: Callable[..., Service]) -> None:
    service = make_service(settings='[auth]\nmode = "none"\n', token=None)
    ws = connect(service)
    receive(ws)
    ws.send("40")
    assert receive(ws)[0] == "40"
    hang_up(ws)


@pytest.mark.parametrize(
    "query",
    ["", "?EIO=4", "?EIO=3&transport=websocket", "?EIO=x&transport=websocket"],
)
def test_another_protocol_is_refused_before_the_upgrade(service: Service, query: str) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    answer = httpx.get(f"{service.url}/api/socket.io/{query}", headers=upgrade, timeout=DEADLINE)
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")


def test_polling_is_refused(service: Service) -> None:
    url = f"{service.url}/api/socket.io/?EIO=4&transport=polling"
    # A WebSocket that asks for the token itself: without an upgrade there is nothing to guard.
    assert httpx.get(url, timeout=DEADLINE).status_code == 400


def test_it_works_below_the_proxy_url_too(service: Service) -> None:
    ws = connect(service, f"/toolbox/any-id{PATH}")
    assert receive(ws)[0] == "0"
    hang_up(ws)


# Time, on a socket of the test's own


@pytest.fixture
def open_socket() -> Iterator[Callable[[], websocket.WebSocket]]:
    """Make the client's end of a socket that an EventSocket drives, after the handshake."""
    loop = Loop()
    loop.start()
    ended = threading.Event()
    client = websocket.WebSocket()

    def start() -> websocket.WebSocket:
        ours, theirs = socket.socketpair()
        auth = Auth("token", TOKEN)
        handler = EventSocket(auth, loop)
        settings = WebSocketSettings()
        WebSocket(ours, loop, handler, settings, lambda *_: ended.set(), greeting=b"").start()
        theirs.settimeout(DEADLINE)
        client.sock = theirs
        client.connected = True
        assert receive(client)[0] == "0"
        return client

    yield start
    hang_up(client)
    assert ended.wait(DEADLINE)
    loop.stop()


Open = Callable[[], websocket.WebSocket]


def test_a_client_without_a_word_is_sent_away(
    open_socket: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "CONNECT_TIMEOUT", 0.01)
    assert close_code(open_socket()) == 1008


def test_a_client_that_was_refused_is_sent_away(
    open_socket: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "CONNECT_TIMEOUT", 5.0)
    client = open_socket()
    client.send("40")
    assert receive(client)[0] == "44"
    assert close_code(client) == 1008


def test_a_client_is_pinged(open_socket: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "PING_INTERVAL", 0.01)
    client = open_socket()
    client.send("40" + json.dumps({"token": TOKEN}))
    assert receive(client)[0] == "40"
    for _ in range(3):
        assert client.recv() == "2"
        client.send("3")
