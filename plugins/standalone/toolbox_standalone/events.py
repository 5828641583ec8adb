"""Socket.IO, as little of it as keeps the SDKs content.

Every SDK client opens a Socket.IO connection to hear of changes of its sandboxes. Refused, the
TypeScript SDK tries again for minutes and keeps its process alive meanwhile, and the Python SDK
tries again for each sandbox. Nothing changes here, so the connection is accepted and stays silent.

Packets are the Engine.IO protocol 4 (a digit: open, close, ping, pong, message) with the Socket.IO
protocol 5 inside messages (a digit: connect, disconnect, event, ack, connect error).
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from typing import Any

import msgspec

from toolbox.auth import Auth
from toolbox.decoding import decode
from toolbox.errors import Unauthorized
from toolbox.handler import POLICY
from toolbox.handler import SocketClosed
from toolbox.handler import SocketHandler
from toolbox.loop import Loop
from toolbox.loop import Timer

if TYPE_CHECKING:
    from toolbox.websocket import WebSocket

OPEN, CLOSE, PING, PONG = "0", "1", "2", "3"
CONNECT, DISCONNECT, CONNECT_ERROR = "40", "41", "44"

PING_INTERVAL = 25.0
PING_TIMEOUT = 20.0
MAX_PACKET = 64 * 1024
CONNECT_TIMEOUT = 10.0
"""Seconds a client has to show the token."""


class Credentials(msgspec.Struct, frozen=True):
    """What a client sends to connect."""

    token: str = ""


class EventSocket(SocketHandler):
    """One client that waits for events."""

    def __init__(self, auth: Auth, loop: Loop) -> None:
        self._auth = auth
        self._loop = loop
        self._timer: Timer | None = None
        self._refused = False

    def opened(self, ws: WebSocket) -> None:
        handshake = {
            "sid": secrets.token_urlsafe(15),
            "upgrades": [],
            "pingInterval": int(PING_INTERVAL * 1000),
            "pingTimeout": int(PING_TIMEOUT * 1000),
            "maxPayload": MAX_PACKET,
        }
        ws.send(_packet(OPEN, handshake))
        self._timer = self._loop.call_later(
            CONNECT_TIMEOUT, lambda: ws.close(POLICY, "the token has not come in time")
        )

    def received(self, ws: WebSocket, message: str | bytes) -> None:
        if not isinstance(message, str):
            return
        if message.startswith(CONNECT):
            self._connect(ws, message.removeprefix(CONNECT))
        elif message.startswith(PING):
            _send(ws, PONG + message.removeprefix(PING))
        elif message.startswith((CLOSE, DISCONNECT)):
            ws.close()

    def _connect(self, ws: WebSocket, data: str) -> None:
        if self._refused:
            return
        try:
            self._check(data)
        except Unauthorized as error:
            # The client hangs up. If we did, the Python SDK would leave its end open; the timer
            # ends what stays.
            self._refused = True
            _send(ws, _packet(CONNECT_ERROR, {"message": error.message}))
            return
        ws.admit()
        self._cancel_timer()
        _send(ws, _packet(CONNECT, {"sid": secrets.token_urlsafe(15)}))
        self._ping_later(ws)

    def _check(self, data: str) -> None:
        try:
            token = decode((data or "{}").encode(), Credentials).token
        except msgspec.DecodeError:
            token = ""
        # Only ASCII: that's what a header, as which it is checked, can hold.
        printable = token if token.isascii() else ""
        self._auth.check({"HTTP_AUTHORIZATION": f"Bearer {printable}"})

    def _ping_later(self, ws: WebSocket) -> None:
        def ping() -> None:
            _send(ws, PING)
            self._ping_later(ws)

        self._timer = self._loop.call_later(PING_INTERVAL, ping)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def closed(self, ws: WebSocket, code: int, reason: str) -> None:
        self._cancel_timer()


def _packet(kind: str, data: dict[str, Any]) -> str:
    return kind + msgspec.json.encode(data).decode()


def _send(ws: WebSocket, packet: str) -> None:
    try:
        ws.send(packet)
    except SocketClosed:
        pass  # ``closed`` follows.
