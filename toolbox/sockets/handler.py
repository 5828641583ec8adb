"""The API for WebSocket operations: handlers, sockets, close codes (RFC 6455, 7.4).

Apart from :mod:`toolbox.sockets.websocket`, which implements the protocol and is imported with the
first socket. :mod:`toolbox.sockets.blocking` has a handler for functions that block.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Protocol

import msgspec

from toolbox.activity import Mark
from toolbox.sockets.subprotocols import Subprotocols

NORMAL = 1000
GOING_AWAY = 1001
PROTOCOL_ERROR = 1002
ABNORMAL = 1006
POLICY = 1008
TOO_BIG = 1009
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012
TRY_AGAIN_LATER = 1013


class SocketClosed(Exception):
    """The WebSocket is closed or closing; nothing more can be sent or received."""


class Socket(Protocol):
    """An open WebSocket, as its handler sees it. All methods may be called from any thread."""

    @property
    def writable(self) -> bool:
        """True if the client keeps up: less than ``send_buffer`` bytes wait for it."""

    @property
    def pending(self) -> int:
        """Bytes that wait for the client."""

    @property
    def closing(self) -> bool:
        """True once nothing more can be sent."""

    def admit(self) -> None:
        """Lift the limits on clients without a token: this one has shown it to the handler."""

    def send(self, message: str | bytes) -> None:
        """Queue one message: ``str`` as text, ``bytes`` as binary.

        Off the loop this waits while the client doesn't keep up. On the loop it never waits: check
        :attr:`writable` and go on in ``drained``; a handler that doesn't is closed (1008) when
        four times ``send_buffer`` wait. Raises SocketClosed.
        """

    def gather(self, on: bool) -> None:
        """Queue the messages that follow, and send them all at once when it is over. On the loop,
        within one call of the handler.
        """

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Send what is queued, then the close frame; idempotent."""

    def abort(self) -> None:
        """Drop the connection without a close frame."""

    def pause(self) -> None:
        """Stop reading: what the client sends waits in its own buffers."""

    def resume(self) -> None:
        """Read again."""


class SocketHandler:
    """Drives one WebSocket. Every method is called on the loop and must not block."""

    subprotocols = Subprotocols()
    """The subprotocols it prefers, and those it would rather not accept."""

    is_activity = True
    """False if its messages mean no activity of a client (``GET /x/activity``), as heartbeats."""

    def opened(self, ws: Socket) -> None:
        """Handle the end of the upgrade. Called once, before anything else, on the request's
        thread.
        """

    def received(self, ws: Socket, message: str | bytes) -> None:
        """Handle a whole message."""

    def drained(self, ws: Socket) -> None:
        """Go on sending: ``ws.writable`` has become true again."""

    def closed(self, ws: Socket, code: int, reason: str) -> None:
        """Handle the close, by either side; ``code`` is 1006 without a close frame."""


class OpenSocket(Protocol):
    """A client's connection that is no longer the server's: a WebSocket, or its like."""

    @property
    def received_bytes(self) -> int:
        """Bytes received from the client so far."""

    @property
    def sent_bytes(self) -> int:
        """Bytes sent to the client so far."""

    @property
    def last_data(self) -> Mark:
        """The last moment in which a message, or part of one, passed in either direction."""

    def start(self) -> None:
        """Begin, on the request's thread."""

    def close(self, code: int, reason: str) -> None:
        """End soon. From any thread; when it has ended ``OnEnd`` is called, once."""


OnEnd = Callable[[OpenSocket, int, str], object]
"""Called with the socket, the close code and the reason once it has ended."""


class ConnectionTakeover(msgspec.Struct, frozen=True):
    """Returned by a WebSocket operation to speak with the client itself, from the 101 on.

    ``open(sock, early, on_end)`` gets the connection, the bytes read from it beyond the request,
    and the callback for the end. It must not fail.
    """

    open: Callable[[socket.socket, bytes, OnEnd], OpenSocket]
