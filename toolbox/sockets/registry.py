"""All open WebSockets of the service, and the bound on them."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from collections.abc import Iterable
from typing import Any

from toolbox.activity import Mark
from toolbox.activity import Traffic
from toolbox.errors import Unavailable
from toolbox.settings import WebSocketSettings
from toolbox.sockets.handler import GOING_AWAY
from toolbox.sockets.handler import ConnectionTakeover
from toolbox.sockets.handler import OnEnd
from toolbox.sockets.handler import OpenSocket
from toolbox.sockets.handler import SocketHandler
from toolbox.sockets.handshake import greeting
from toolbox.sockets.handshake import take_socket
from toolbox.sockets.loop import Loop

MAX_STRANGERS = 64
"""Sockets of clients that have shown no token yet; for one more, the oldest is dropped."""


class SocketRegistry:
    """The open WebSockets, ``max_sockets`` of them at most. *Any thread.*"""

    def __init__(self, settings: WebSocketSettings, loop: Loop) -> None:
        self._settings = settings
        self._loop = loop
        self._open: dict[OpenSocket, None] = {}  # The oldest first.
        self._reserved = 0
        self._changed = threading.Condition()
        self._stopping: tuple[int, str] | None = None
        self._closed = Traffic(received=0, sent=0, last=Mark.now())

    def __len__(self) -> int:
        return len(self._open)

    def traffic(self) -> Traffic:
        """Return what has passed through all sockets, those that are closed, too."""
        with self._changed:
            return _add(self._closed, self._open)

    def reserve(self, stranger: bool = False) -> None:
        """Reserve a place for a socket. Raises Unavailable if all are taken.

        A ``stranger`` may take the place of another one.
        """
        with self._changed:
            if self._stopping:
                raise Unavailable(self._stopping[1], {"Retry-After": "1"})
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
        handler: SocketHandler | ConnectionTakeover,
        on_end: OnEnd,
        stranger: bool = False,
        secret: Collection[str] = (),
    ) -> None:
        """Take the socket and hand it to ``handler``, responding 101 unless that is a
        :class:`ConnectionTakeover`. The socket holds the reserved place until it ends.

        ``secret`` are the subprotocols that carry a credential: none of them is echoed.
        """
        sock, early = take_socket(environ)

        def ended(ws: OpenSocket, code: int, reason: str) -> None:
            with self._changed:
                self._open.pop(ws, None)
                self._closed = _add(self._closed, [ws])
                self._changed.notify_all()
            on_end(ws, code, reason)

        ws: OpenSocket
        if isinstance(handler, ConnectionTakeover):
            ws = handler.open(sock, early, ended)
        else:
            # Imported with the first socket: many services never have one.
            from toolbox.sockets.websocket import WebSocket

            hello = greeting(environ, key, handler.subprotocols, secret)
            ws = WebSocket(sock, self._loop, handler, self._settings, ended, hello, early, stranger)
        with self._changed:
            # In one step: close_all() either finds the socket, or is seen to have begun.
            self._reserved -= 1
            self._open[ws] = None
            stopping = self._stopping
        ws.start()
        if stopping:
            ws.close(*stopping)

    def close_all(
        self, timeout: float, code: int = GOING_AWAY, reason: str = "the service is stopping"
    ) -> None:
        """Close every socket and wait for them, ``timeout`` seconds at most."""
        with self._changed:
            self._stopping = code, reason
            sockets = list(self._open)
        for ws in sockets:
            ws.close(code, reason)
        deadline = time.monotonic() + timeout
        with self._changed:
            self._changed.wait_for(lambda: not self._open, max(0.0, deadline - time.monotonic()))


def _add(traffic: Traffic, sockets: Iterable[OpenSocket]) -> Traffic:
    for ws in sockets:
        traffic = Traffic(
            received=traffic.received + ws.received_bytes,
            sent=traffic.sent + ws.sent_bytes,
            last=max(traffic.last, ws.last_data),
        )
    return traffic
