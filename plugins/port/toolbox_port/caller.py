"""The client that waits for an answer, and whether it still does."""

from __future__ import annotations

import select
import socket
from typing import Any

from toolbox_port.errors import CallerGone


class Caller:
    """Watches the connection a request came from, if the server lets it be seen."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.sock: socket.socket | None = environ.get("gunicorn.socket")
        self._poll = select.poll()
        self._fd = -1
        if self.sock is not None:
            self._fd = self.sock.fileno()
            # Not for input: that may be the next request, or the rest of this one.
            self._poll.register(self._fd, select.POLLRDHUP)

    def wait(self, seconds: float | None) -> bool:
        """Wait until what was given to :meth:`also` can be read; False after ``seconds``.

        Raises CallerGone as soon as the client hangs up.
        """
        ready = self._poll.poll(None if seconds is None else max(0, round(seconds * 1000)))
        if any(fd == self._fd for fd, _ in ready):
            raise CallerGone("the client has hung up")
        return bool(ready)

    def also(self, sock: socket.socket) -> None:
        """Wait for ``sock``, too."""
        self._poll.register(sock, select.POLLIN | select.POLLRDHUP)
