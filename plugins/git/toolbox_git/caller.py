"""Whether the client that asked is still there."""

from __future__ import annotations

import select
import socket

from toolbox.request import RequestInfo
from toolbox_git.backend import Gone


def gone(request: RequestInfo) -> Gone:
    """A function that tells whether the client has closed its connection."""
    sock = request.environ.get("gunicorn.socket")

    def is_gone() -> bool:
        if not isinstance(sock, socket.socket) or sock.fileno() < 0:
            return False
        poll = select.poll()
        poll.register(sock, select.POLLRDHUP)
        return bool(poll.poll(0))

    return is_gone
