"""The part of Socket.IO that the SDKs need.

Every SDK client opens a Socket.IO connection for events of its sandboxes. If it is refused, the
TypeScript SDK retries for minutes, during which its process can't exit, and the Python SDK retries
for each sandbox.

A connection ends when the token changes by which it was opened, unlike other WebSockets: it would
go on to show the environments of sandboxes that are created later. The client connects again, with
the token that it has.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import msgspec

from toolbox.auth import Authenticator
from toolbox.errors import Unauthorized
from toolbox.http.decoding import decode
from toolbox.sockets.handler import POLICY
from toolbox.sockets.handler import SocketClosed
from toolbox.sockets.handler import SocketHandler
from toolbox.sockets.loop import Loop
from toolbox.sockets.loop import Timer
from toolbox_fleet.events.packets import CLOSE
from toolbox_fleet.events.packets import CONNECT
from toolbox_fleet.events.packets import CONNECT_ERROR
from toolbox_fleet.events.packets import DISCONNECT
from toolbox_fleet.events.packets import OPEN
from toolbox_fleet.events.packets import PING
from toolbox_fleet.events.packets import PONG
from toolbox_fleet.events.packets import Viewer
from toolbox_fleet.events.packets import acknowledgment
from toolbox_fleet.events.packets import namespace
from toolbox_fleet.events.packets import packet

if TYPE_CHECKING:
    from toolbox.sockets.handler import Socket

PING_INTERVAL = 25.0
"""Seconds between two pings, as Engine.IO's default."""

PING_TIMEOUT = 20.0
"""Seconds within which a client must answer a ping."""

MAX_PACKET = 64 * 1024
"""Bytes of a packet that clients are told to send at most."""

CONNECT_TIMEOUT = 10.0
"""Seconds within which a client must send the token."""


class Credentials(msgspec.Struct, frozen=True):
    """The data of a client's connect packet."""

    token: str = ""


class EventSocket(SocketHandler):
    """The connection of one client that waits for events.

    It never waits for the client: one that doesn't keep up is dropped, connects again and asks for
    the states that it has missed.
    """

    # A client that waits for events sends heartbeats as long as it exists; it needs no sandbox.
    is_activity = False

    def __init__(
        self,
        authenticator: Authenticator,
        loop: Loop,
        joined: set[EventSocket],
        viewer: Viewer,
    ) -> None:
        self.viewer = viewer
        self._authenticator = authenticator
        self._loop = loop
        self._joined = joined
        self._ws: Socket | None = None
        self._timer: Timer | None = None
        self._refused = False
        self._heard = True
        self._pinged = False
        """True until the answer to a ping has come."""
        self._epoch = b""

    def opened(self, ws: Socket) -> None:
        handshake = {
            "sid": secrets.token_urlsafe(15),
            "upgrades": [],
            "pingInterval": int(PING_INTERVAL * 1000),
            "pingTimeout": int(PING_TIMEOUT * 1000),
            "maxPayload": MAX_PACKET,
        }
        ws.send(packet(OPEN, handshake))
        self._timer = self._loop.call_later(
            CONNECT_TIMEOUT, lambda: ws.close(POLICY, "no token received in time")
        )

    def received(self, ws: Socket, message: str | bytes) -> None:
        self._heard = True
        if not isinstance(message, str):
            return
        if message.startswith(CONNECT):
            self._connect(ws, message)
        elif message.startswith(PING):
            _send(ws, PONG + message.removeprefix(PING))
        elif message.startswith(PONG):
            self._on_pong(ws)
        elif message.startswith(CLOSE) or _disconnects(message):
            ws.close()
        elif ack := acknowledgment(message):
            # There is no event that clients send, but one must not wait for ever for its receipt.
            _send(ws, ack)

    def _connect(self, ws: Socket, message: str) -> None:
        if self._refused or self._ws is not None:
            return
        if name := namespace(message):
            _send(ws, packet(f"{CONNECT_ERROR}{name},", {"message": "Invalid namespace"}))
            return
        epoch = self._authenticator.epoch
        try:
            self._check(message.removeprefix(CONNECT).removeprefix("/,"))
        except Unauthorized as error:
            # The client closes. If we did, the Python SDK would leave its end open. The timer ends
            # a connection that stays.
            self._refused = True
            _send(ws, packet(CONNECT_ERROR, {"message": error.message}))
            return
        self._join(ws, epoch)

    def _join(self, ws: Socket, epoch: bytes) -> None:
        # Until now the socket could have been dropped for another stranger's.
        ws.admit()
        self._cancel_timer()
        self._ws = ws
        self._epoch = epoch
        # Before the client learns of it: what happens once it has connected, it is told.
        self._joined.add(self)
        _send(ws, packet(CONNECT, {"sid": secrets.token_urlsafe(15)}))
        self._ping_later(ws, PING_INTERVAL)

    def emit(self, event: str) -> None:
        """Send the packet of an event. On the loop."""
        if self._ws is None or not self._may_stay(self._ws):
            return
        if not self._ws.writable:
            self._ws.abort()
            return
        _send(self._ws, event)

    @property
    def pending(self) -> int:
        """Bytes that wait for the client."""
        return self._ws.pending if self._ws is not None else 0

    def drop(self) -> None:
        """End the connection of a client that doesn't keep up. On the loop."""
        self._joined.discard(self)
        if self._ws is not None:
            self._ws.abort()

    def _may_stay(self, ws: Socket) -> bool:
        if self._authenticator.epoch == self._epoch:
            return True
        self._joined.discard(self)
        ws.close(POLICY, "the token has changed")
        return False

    def _check(self, data: str) -> None:
        try:
            token = decode((data or "{}").encode(), Credentials).token
        except msgspec.DecodeError:
            token = ""
        self._authenticator.authenticate_token(token)

    def _ping_later(self, ws: Socket, wait: float) -> None:
        self._timer = self._loop.call_later(wait, lambda: self._ping(ws))

    def _ping(self, ws: Socket) -> None:
        if not self._may_stay(ws):
            return
        self._heard, self._pinged = False, True
        _send(ws, PING)
        self._timer = self._loop.call_later(PING_TIMEOUT, lambda: self._expect_pong(ws))

    def _on_pong(self, ws: Socket) -> None:
        # Not after the time for it: the next ping would come when the client, which counts both
        # times from the last one, has just given up. One that was not asked for means nothing.
        if self._pinged:
            self._pinged = False
            self._cancel_timer()
            self._ping_later(ws, PING_INTERVAL)

    def _expect_pong(self, ws: Socket) -> None:
        if self._heard:
            self._ping_later(ws, PING_INTERVAL - PING_TIMEOUT)
        else:
            # A host that is gone closes nothing; its client would be sent events for hours.
            ws.abort()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def closed(self, ws: Socket, code: int, reason: str) -> None:
        self._joined.discard(self)
        self._cancel_timer()


def _disconnects(message: str) -> bool:
    # From another namespace, which no client has got into, it means nothing.
    return message.startswith(DISCONNECT) and not namespace(message)


def _send(ws: Socket, text: str) -> None:
    try:
        ws.send(text)
    except SocketClosed:
        pass  # ``closed`` follows.
