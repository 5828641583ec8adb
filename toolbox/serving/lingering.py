"""Threads that linger: the next request of a connection mostly comes at once."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

from toolbox.serving.heads import HeadLimits
from toolbox.serving.heads import is_complete
from toolbox.serving.lobby import RECEIVE

if TYPE_CHECKING:
    from toolbox.serving.lobby import Connection

LINGER_MS = 20
"""Milliseconds a thread waits for the next request."""

MAX_LINGERING = 4
"""Threads that wait so at once: they are idle only for those who don't."""


class Lingering:
    """Waits for the next request of a connection. *Any thread.*"""

    def __init__(self, limits: HeadLimits) -> None:
        self._limits = limits
        # Not locked: one too many for a moment is no harm.
        self._count = 0

    def wait(self, conn: Connection) -> bool:
        """Report whether the next head has come, and is complete, within :data:`LINGER_MS`.

        Raises ConnectionResetError if the client has closed the connection, and as
        :func:`.heads.is_complete`.
        """
        if self._count >= MAX_LINGERING:
            return False
        self._count += 1
        try:
            poll = select.poll()
            poll.register(conn.sock, select.POLLIN)
            if not poll.poll(LINGER_MS):
                return False
        finally:
            self._count -= 1
        seen = len(conn.head)
        data = conn.sock.take(RECEIVE)
        if data == b"":
            raise ConnectionResetError
        conn.head += data or b""
        return is_complete(conn.head, self._limits, seen)
