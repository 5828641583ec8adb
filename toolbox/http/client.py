"""The client of a request, watched while the request is served."""

from __future__ import annotations

import select
import socket
from collections.abc import Mapping
from typing import Any

from toolbox.errors import BadRequest


class ClientDisconnected(BadRequest):
    """The client has closed its connection, so it can't read this."""


class ClientConnection:
    """The connection that a request came on, if the server shows it; otherwise it never closes."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        sock = environ.get("gunicorn.socket")
        # -1 is a socket that a WebSocket has taken over.
        self.sock = sock if isinstance(sock, socket.socket) and sock.fileno() >= 0 else None
        self._fd = -1
        self._poll = select.poll()
        if self.sock is not None:
            self._fd = self.sock.fileno()
            # Not for input: that may be the next request, or the rest of this one.
            self._poll.register(self._fd, select.POLLRDHUP)

    def is_closed(self) -> bool:
        """Report whether the client has closed the connection, or will send nothing more on it."""
        return any(fd == self._fd for fd, _ in self._poll.poll(0))

    def also_wait_for(self, sock: socket.socket) -> None:
        """Let :meth:`wait` return when ``sock`` is readable, too."""
        self._poll.register(sock, select.POLLIN | select.POLLRDHUP)

    def wait(self, seconds: float | None) -> bool:
        """Wait; return whether what was given to :meth:`also_wait_for` is readable, False after
        ``seconds`` (None: any time).

        Raises ClientDisconnected as soon as the client disconnects.
        """
        ready = self._poll.poll(None if seconds is None else max(0, round(seconds * 1000)))
        if any(fd == self._fd for fd, _ in ready):
            raise ClientDisconnected("the client disconnected")
        return bool(ready)
