"""The Socket.IO connection every SDK client opens."""

from __future__ import annotations

import json
import queue
import socket
import threading
from collections.abc import Callable
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import msgspec
import pytest
import socketio
import websocket
from daytona_api_client import Sandbox
from toolbox_fleet.events import hub as hub_module
from toolbox_fleet.events import socket as events
from toolbox_fleet.events.hub import EventHub
from toolbox_fleet.events.packets import Viewer
from toolbox_fleet.events.socket import EventSocket
from toolbox_fleet.models.events import Event
from toolbox_fleet.models.sandboxes import CreateSandbox

from toolbox.auth.factory import make_auth
from toolbox.auth.secret_store import SecretStore
from toolbox.auth.tokens import TokenAuthenticator
from toolbox.settings import AuthSettings
from toolbox.settings import WebSocketSettings
from toolbox.sockets.loop import Loop
from toolbox.sockets.websocket import WebSocket
from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN
from toolbox.testing import Service

from .fleets import record

PATH = "/api/socket.io/?EIO=4&transport=websocket"
CLOSED = 8
"""The opcode of a close frame (RFC 6455, 5.2)."""


def connect(service: Service, path: str = PATH) -> websocket.WebSocket:
    """Connect as the SDKs do: without a header of authorization."""
    return websocket.create_connection(f"ws://127.0.0.1:{service.port}{path}", timeout=DEADLINE)


def receive(ws: websocket.WebSocket) -> tuple[str, Any]:
    """Return the type of the next packet and its data."""
    packet = ws.recv()
    assert isinstance(packet, str)
    kind = packet[: len(packet) - len(packet.lstrip("0123456789"))]
    return kind, json.loads(packet.removeprefix(kind) or "null")


def hang_up(ws: websocket.WebSocket) -> None:
    """Close, also after a close frame: then ``close`` alone leaves the socket open."""
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
    assert refused == [{"message": "invalid bearer token"}]


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
    # Public, as the token is in the first packet: without an upgrade there is nothing to protect.
    assert httpx.get(url, timeout=DEADLINE).status_code == 400


def test_it_works_below_the_proxy_url_too(service: Service) -> None:
    ws = connect(service, f"/toolbox/any-id{PATH}")
    assert receive(ws)[0] == "0"
    hang_up(ws)


# Events


def join(service: Service, **options: Any) -> websocket.WebSocket:
    """Connect and present the token."""
    url = f"ws://127.0.0.1:{service.port}{PATH}"
    ws = websocket.create_connection(url, timeout=DEADLINE, **options)
    assert receive(ws)[0] == "0"
    ws.send("40" + json.dumps({"token": TOKEN}))
    assert receive(ws)[0] == "40"
    return ws


def create_and_delete(service: Service, name: str) -> None:
    service.http.post("/api/sandbox", json={"name": name}).raise_for_status()
    service.http.delete("/api/sandbox/local").raise_for_status()


def test_events_are_as_clients_read_them(service: Service) -> None:
    client = socketio.Client(reconnection=False)
    received: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    client.on("*", lambda name, data: received.put((name, data)))
    client.connect(
        service.url,
        socketio_path="/api/socket.io/",
        auth={"token": TOKEN},
        transports=["websocket"],
    )
    create_and_delete(service, "told")
    name, data = received.get(timeout=DEADLINE)
    assert name == "sandbox.created"
    created = Sandbox.from_dict(data)
    assert created is not None and created.name == "told"
    assert created.toolbox_proxy_url == f"{service.url}/toolbox"
    name, data = received.get(timeout=DEADLINE)
    assert name == "sandbox.state.updated"
    assert (data["oldState"], data["newState"]) == ("started", "destroyed")
    gone = Sandbox.from_dict(data["sandbox"])
    assert gone is not None and (gone.id, gone.name) == (created.id, "told")
    client.disconnect()


def test_each_client_gets_the_url_by_which_it_has_come(service: Service) -> None:
    clients = {"box.example:81": join(service, host="box.example:81"), "": join(service)}
    create_and_delete(service, "seen")
    for host, ws in clients.items():
        _, (name, sandbox) = receive(ws)
        assert name == "sandbox.created"
        assert sandbox["toolboxProxyUrl"] == f"http://{host or service.url[7:]}/toolbox"
        hang_up(ws)


def test_many_clients_get_every_event_in_order(service: Service) -> None:
    clients = [join(service) for _ in range(100)]
    wanted = [f"box-{number}" for number in range(5)]
    for name in wanted:
        create_and_delete(service, name)
    for ws in clients:
        events = [receive(ws)[1] for _ in range(2 * len(wanted))]
        assert [data["name"] for name, data in events[::2]] == wanted
        assert {data["newState"] for name, data in events[1::2]} == {"destroyed"}
        hang_up(ws)


def test_a_client_whose_token_was_replaced_is_told_nothing_more(
    make_service: Callable[..., Service],
) -> None:
    service = make_service()
    ws = join(service)
    service.http.post("/init", json={"token": "another-token"}).raise_for_status()
    service.http.headers["Authorization"] = "Bearer another-token"
    create_and_delete(service, "secret")
    assert close_code(ws) == 1008
    hang_up(ws)


def test_a_receipt_is_sent_for_what_means_nothing(service: Service) -> None:
    ws = join(service)
    ws.send('427["no such event",{"x":1}]')
    assert ws.recv() == "437[]"
    hang_up(ws)


def test_other_namespaces_are_refused_and_the_connection_stays(service: Service) -> None:
    ws = join(service)
    other = connect(service)
    receive(other)
    other.send("40/admin," + json.dumps({"token": TOKEN}))
    assert other.recv() == '44/admin,{"message":"Invalid namespace"}'
    for client in (ws, other):
        for ignored in ("41/admin,", '42/admin,1["x"]', "45", "4", "49", "40" * 5):
            client.send(ignored)
    ws.send("2")
    assert ws.recv() == "3", "there is no answer to another connect packet"
    hang_up(ws)
    hang_up(other)


def joined(
    hub: EventHub, loop: Loop, settings: WebSocketSettings, on_end: Callable[[], object]
) -> websocket.WebSocket:
    """Return a client of a hub without a service."""
    ours, theirs = socket.socketpair()
    handler = hub.handler(Viewer("http://x/toolbox", is_local=True))
    WebSocket(ours, loop, handler, settings, lambda *_: on_end(), greeting=b"").start()
    client = websocket.WebSocket()
    theirs.settimeout(DEADLINE)
    client.sock, client.connected = theirs, True
    receive(client)
    client.send("40")
    receive(client)
    return client


def test_nobody_asks_for_the_address_of_a_sandbox_that_is_gone() -> None:
    loop, asked = Loop(), list[str]()
    loop.start()
    auth = make_auth(AuthSettings(mode="none"), "127.0.0.1", {})
    hub = EventHub(auth, loop, asked.append)
    client = joined(hub, loop, WebSocketSettings(), lambda: None)
    sandbox = record(CreateSandbox())
    for state in ("started", "destroyed"):
        told = msgspec.structs.replace(sandbox, state=state)
        hub.publish(Event(kind="state", sandbox=told, new=state))
        assert receive(client)[1][1]["newState"] == state
    assert asked == [sandbox.id]
    hang_up(client)
    hub.close()
    loop.stop()


# By its own backlog, and by that of all together.
@pytest.mark.parametrize(("buffer", "most"), [(4096, 1 << 30), (1 << 30, 65_536)])
def test_one_that_does_not_keep_up_is_dropped_and_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch, buffer: int, most: int
) -> None:
    monkeypatch.setattr(hub_module, "MOST_PENDING", most)
    loop = Loop()
    loop.start()
    auth = make_auth(AuthSettings(mode="none"), "127.0.0.1", {})
    hub = EventHub(auth, loop, lambda _: None)
    settings = WebSocketSettings(send_buffer=buffer)
    ended: queue.SimpleQueue[int] = queue.SimpleQueue()
    clients = []
    for number in range(2):
        clients.append(joined(hub, loop, settings, partial(ended.put, number)))
    sandbox = record(CreateSandbox(env={"A": "x" * 10_000}))
    for number in range(200):
        hub.publish(Event(kind="state", sandbox=sandbox, old="started", new=str(number)))
        _, (_, data) = receive(clients[1])
        assert data["newState"] == str(number)
    assert ended.get(timeout=DEADLINE) == 0
    for client in clients:
        hang_up(client)
    hub.close()
    loop.stop()


def test_one_that_floods_and_reads_nothing_is_closed_and_holds_up_no_other(
    service: Service,
) -> None:
    flood = connect(service)
    receive(flood)
    flood.send(f'40{{"token":"{TOKEN}"}}')
    receive(flood)
    with socketio.SimpleClient() as other:
        other.connect(
            service.url,
            socketio_path="/api/socket.io/",
            auth={"token": TOKEN},
            transports=["websocket"],
        )
        # Each is answered at its length. Nobody takes the answers, so the service has to end it.
        with pytest.raises((OSError, websocket.WebSocketException)):
            while True:
                flood.send("2" + "x" * 500_000)
        assert other.call("anything", timeout=DEADLINE) in (None, [], ())
    flood.shutdown()


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
        viewer = Viewer("http://x/toolbox", is_local=False)
        handler = EventSocket(TokenAuthenticator(SecretStore(TOKEN)), loop, set(), viewer)
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
    # The next one must not wait for the end of the time that there was for the answer.
    monkeypatch.setattr(events, "PING_TIMEOUT", 3600.0)
    client = open_socket()
    client.send("40" + json.dumps({"token": TOKEN}))
    assert receive(client)[0] == "40"
    client.send("3")  # To no ping.
    for _ in range(3):
        assert client.recv() == "2"
        client.send("3")


def test_a_client_that_is_gone_without_a_word_is_dropped(
    open_socket: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "PING_INTERVAL", 0.01)
    monkeypatch.setattr(events, "PING_TIMEOUT", 0.01)
    client = open_socket()
    client.send("40" + json.dumps({"token": TOKEN}))
    assert receive(client)[0] == "40"
    assert client.recv() == "2"
    with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError)):
        client.recv()
