"""Whether the client still waits for its answer."""

from __future__ import annotations

import select
from collections.abc import Callable

from toolbox.request import RequestInfo


def client_gone(request: RequestInfo) -> Callable[[], bool]:
    """A function that tells if the client has closed its connection since."""
    sock = request.environ.get("gunicorn.socket")
    if sock is None:
        return lambda: False
    poll = select.poll()
    flags = select.POLLRDHUP | select.POLLHUP | select.POLLERR
    poll.register(sock, flags)
    return lambda: any(event & flags for _, event in poll.poll(0))
