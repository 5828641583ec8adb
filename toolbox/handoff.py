"""The opening handshake (RFC 6455, 4.2) and the hand-off of the socket to the I/O loop."""

from __future__ import annotations

import base64
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from typing import Protocol

from toolbox.errors import BadRequest
from toolbox.errors import NotImplemented_
from toolbox.errors import Unavailable
from toolbox.handler import GOING_AWAY
from toolbox.handler import SocketHandler
from toolbox.loop import Loop
from toolbox.observing import REQUEST_ID
from toolbox.settings import WebSocketSettings
from toolbox.subprotocols import choose_subprotocol
from toolbox.subprotocols import offered_subprotocols

NONCE = 16
"""Bytes of a key (RFC 6455, 4.1)."""

MAX_STRANGERS = 64
"""Sockets whose clients have shown no token yet; for one more, the oldest is dropped."""


def check_handshake(environ: dict[str, Any]) -> str:
    """The client's key. Raises BadRequest unless this is a WebSocket handshake, version 13, and
    NotImplemented_ if the server can't hand over its sockets.
    """
    version = {"Sec-WebSocket-Version": "13"}
    key: str = environ.get("HTTP_SEC_WEBSOCKET_KEY", "")
    if environ.get("HTTP_UPGRADE", "").lower() != "websocket" or not key:
        raise BadRequest("this is a WebSocket: an upgrade is expected", version)
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION") != "13":
        raise BadRequest("WebSocket version 13 is expected", version)
    if not _is_nonce(key):
        raise BadRequest("Sec-WebSocket-Key must be 16 bytes in base64")
    if environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
        raise BadRequest("a WebSocket needs HTTP/1.1")
    if "HTTP_TRANSFER_ENCODING" in environ or environ.get("CONTENT_LENGTH", "").strip("0"):
        # What follows the head would be taken for frames.
        raise BadRequest("a WebSocket handshake has no body")
    if "gunicorn.socket" not in environ:
        raise NotImplemented_("this server can't hand over its sockets")
    return key


def _is_nonce(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == NONCE
    except ValueError:
        return False


class OpenSocket(Protocol):
    """A client's connection that is no longer the server's: a :class:`WebSocket`, or its like."""

    received_bytes: int
    sent_bytes: int

    def start(self) -> None:
        """Begin, on the request's thread."""

    def close(self, code: int, reason: str) -> None:
        """End soon. From any thread; when it has ended ``OnEnd`` is called, once."""


OnEnd = Callable[[OpenSocket, int, str], object]
"""Called with the socket, the close code and the reason once it has ended."""


@dataclass(frozen=True)
class TakeOver:
    """What a WebSocket operation returns to speak with the client itself, from the 101 on.

    ``open(sock, early, on_end)`` gets the connection, what was read from it beyond the request,
    and what to call at the end. It must not fail.
    """

    open: Callable[[socket.socket, bytes, OnEnd], OpenSocket]


class Sockets:
    """All open WebSockets, and the bound on them."""

    def __init__(self, settings: WebSocketSettings, loop: Loop) -> None:
        self._settings = settings
        self._loop = loop
        self._open: dict[OpenSocket, None] = {}  # The oldest first.
        self._reserved = 0
        self._changed = threading.Condition()
        self._stopping = False

    def __len__(self) -> int:
        return len(self._open)

    def reserve(self, stranger: bool = False) -> None:
        """Take a place for a socket to come. Raises Unavailable if there is none.

        A ``stranger`` may take that of another one.
        """
        with self._changed:
            if self._stopping:
                raise Unavailable("the service is stopping")
            if stranger:
                self._drop_stranger()
            if len(self._open) + self._reserved >= self._settings.max_sockets:
                raise Unavailable("too many WebSockets are open", {"Retry-After": "1"})
            self._reserved += 1

    def _drop_stranger(self) -> None:
        strangers = [ws for ws in self._open if getattr(ws, "stranger", False)]
        if len(strangers) >= min(MAX_STRANGERS, self._settings.max_sockets // 2):
            strangers[0].abort()  # type: ignore[attr-defined]

    def release(self) -> None:
        """Give a reserved place back."""
        with self._changed:
            self._reserved -= 1

    def accept(
        self,
        environ: dict[str, Any],
        key: str,
        handler: SocketHandler | TakeOver,
        on_end: OnEnd,
        stranger: bool = False,
    ) -> None:
        """Take the socket and hand it to ``handler``, answering 101 unless it is a
        :class:`TakeOver`. The socket has the place reserved until it ends.
        """
        sock, early = take_socket(environ)

        def ended(ws: OpenSocket, code: int, reason: str) -> None:
            with self._changed:
                self._open.pop(ws, None)
                self._changed.notify_all()
            on_end(ws, code, reason)

        ws: OpenSocket
        if isinstance(handler, TakeOver):
            ws = handler.open(sock, early, ended)
        else:
            # Imported with the first socket: many a service never has one.
            from toolbox.websocket import WebSocket

            greeting = _greeting(environ, key)
            ws = WebSocket(sock, self._loop, handler, self._settings, ended, greeting, early)
            ws.stranger = stranger
        with self._changed:
            self._reserved -= 1
            self._open[ws] = None
            stopping = self._stopping
        ws.start()
        if stopping:
            ws.close(GOING_AWAY, "the service is stopping")

    def close_all(self, timeout: float) -> None:
        """Close every socket with 1001 and wait for them, ``timeout`` seconds at most."""
        with self._changed:
            self._stopping = True
            sockets = list(self._open)
        for ws in sockets:
            ws.close(GOING_AWAY, "the service is stopping")
        deadline = time.monotonic() + timeout
        with self._changed:
            self._changed.wait_for(lambda: not self._open, max(0.0, deadline - time.monotonic()))


def _greeting(environ: dict[str, Any], key: str) -> bytes:
    from wsproto.utilities import generate_accept_token

    accepted = generate_accept_token(key.encode("latin-1")).decode()
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accepted}",
        f"X-Request-Id: {environ[REQUEST_ID]}",
    ]
    if chosen := choose_subprotocol(offered_subprotocols(environ)):
        lines.append(f"Sec-WebSocket-Protocol: {chosen}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def take_socket(environ: dict[str, Any]) -> tuple[socket.socket, bytes]:
    """The connection's socket and the bytes read ahead of the request.

    gunicorn keeps an object that is at its end already, so that it closes that at once and its
    count of connections stays right.
    """
    theirs: socket.socket = environ["gunicorn.socket"]
    early: bytes = environ["wsgi.input"].reader.unreader.take_buffered()
    ours = socket.socket(fileno=theirs.detach())
    dead, other = socket.socketpair()
    other.close()
    socket.socket.__init__(theirs, fileno=dead.detach())
    ours.setblocking(True)
    ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return ours, early
