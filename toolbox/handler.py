"""What drives a WebSocket: the methods that are called, and the close codes (RFC 6455, 7.4).

Apart from :mod:`toolbox.websocket`, which brings the protocol and is imported with the first
socket. :mod:`toolbox.conversation` has a handler for functions that block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolbox.websocket import WebSocket

NORMAL = 1000
GOING_AWAY = 1001
PROTOCOL_ERROR = 1002
ABNORMAL = 1006
POLICY = 1008
TOO_BIG = 1009
INTERNAL_ERROR = 1011


class SocketClosed(Exception):
    """The WebSocket is closed or closing; nothing more can be sent or received."""


class SocketHandler:
    """What drives one WebSocket. Every method is called on the loop and must not block."""

    def opened(self, ws: WebSocket) -> None:
        """The upgrade is done. Called once, before anything else, on the request's thread."""

    def received(self, ws: WebSocket, message: str | bytes) -> None:
        """A whole message has come."""

    def drained(self, ws: WebSocket) -> None:
        """The client has caught up: ``ws.writable`` has become true again."""

    def closed(self, ws: WebSocket, code: int, reason: str) -> None:
        """The socket is closed, by whichever side; 1006 if there was no close frame."""
