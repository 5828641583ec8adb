"""Connections that no thread is needed for: new, kept alive, in the middle of a head, or ending.

They wait on the accept loop, and nothing they do makes it wait. Whoever has never shown a token is
a stranger. There may be so many strangers, so many callers, and so many bytes of unfinished heads;
for more, the one that has waited longest is closed: somebody who means it doesn't wait long.
"""

from __future__ import annotations

import logging
import selectors
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gunicorn.workers.gthread import TConn

from toolbox.client import ClientSocket
from toolbox.clock import awake
from toolbox.errors import ToolboxError
from toolbox.heads import HeadLimits
from toolbox.heads import is_complete

RECEIVE = 16 * 1024
MAX_UNFINISHED = 8 * 1024 * 1024
"""Bytes of all heads that have begun."""
LINGER = 2.0
"""Seconds a client has to close its end after the last answer (RFC 9112, 9.6)."""
MAX_DRAIN = 4 * 1024 * 1024
"""Bytes of it that are dropped meanwhile."""
TIDY = 0.5

log = logging.getLogger("toolbox")


class Connection(TConn):
    """A client's connection, and where it is in the lobby."""

    sock: ClientSocket
    parser: Any

    def __init__(self, cfg: Any, sock: ClientSocket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.data_ready = True
        self.head = bytearray()
        """What has come of the next head."""
        self.deadline = 0.0
        self.parting = False
        self.dropped = 0
        self.refusal: ToolboxError | None = None
        """Why the head was refused."""


@dataclass(frozen=True)
class LobbyLimits:
    """Connections of each kind, seconds idle and for a head, and the head's size."""

    strangers: int
    callers: int
    keep_alive: float
    header_timeout: float
    head: HeadLimits


class Lobby:
    """All waiting connections. Every method is called on the accept loop.

    ``ready(connection)`` gets one with a complete head, or a refusal, back; ``gone(connection)``
    is told of one that was closed.
    """

    def __init__(
        self,
        poller: selectors.BaseSelector,
        limits: LobbyLimits,
        ready: Callable[[Connection], object],
        gone: Callable[[Connection], object],
    ) -> None:
        self._poller = poller
        self._limits = limits
        self._ready = ready
        self._gone = gone
        # By how long they have been here, the oldest first.
        self._strangers: dict[Connection, None] = {}
        self._callers: dict[Connection, None] = {}
        self._unfinished = 0
        self._longest = float("inf")
        self._tidied = 0.0

    def enter(self, conn: Connection) -> None:
        """Wait for the connection's next head."""
        conn.deadline = awake() + min(self._limits.keep_alive, self._longest)
        self._place(conn)
        if conn.head:
            self._unfinished += len(conn.head)
            self._guard(conn, self._look)
        else:
            self._guard(conn, self._read)  # Most have sent it by now.
        self._make_room()

    def part(self, conn: Connection) -> None:
        """Let the client take what was sent, and close: at once would cut its last bytes off."""
        conn.parting = True
        conn.head.clear()
        conn.deadline = awake() + min(LINGER, self._longest)
        self._place(conn)
        self._make_room()

    def _place(self, conn: Connection) -> None:
        try:
            self._poller.register(conn.sock, selectors.EVENT_READ, lambda _: self._woken(conn))
        except (OSError, ValueError):  # Closed, or there is no memory for it.
            self._close(conn)
            return
        self._home(conn)[conn] = None

    def _home(self, conn: Connection) -> dict[Connection, None]:
        # Whoever is leaving is nobody's caller any more.
        return self._callers if conn.sock.was_known and not conn.parting else self._strangers

    def _woken(self, conn: Connection) -> None:
        if conn in self._home(conn):  # An earlier event of this round may have ended it.
            self._guard(conn, self._drop if conn.parting else self._read)

    def _guard(self, conn: Connection, step: Callable[[Connection], object]) -> None:
        """One connection's fault must not end everybody's accept loop."""
        try:
            step(conn)
        except OSError:
            self._remove(conn)
        except Exception:
            log.exception("a connection failed")
            self._remove(conn)

    def _read(self, conn: Connection) -> None:
        if conn not in self._home(conn):
            return
        data = conn.sock.take(RECEIVE)
        if data is None:
            return
        if not data:
            self._remove(conn)
            return
        seen = len(conn.head)
        conn.head += data
        self._unfinished += len(data)
        self._look(conn, seen)
        if self._unfinished > MAX_UNFINISHED:
            self._make_room()

    def _look(self, conn: Connection, seen: int = 0) -> None:
        """Give it back if its head is complete; ``seen`` bytes were looked at before."""
        try:
            complete = is_complete(conn.head, self._limits.head, seen)
        except ToolboxError as error:
            conn.refusal, complete = error, True
        if complete:
            self._leave(conn)
            self._ready(conn)
        elif not seen:
            conn.deadline = awake() + min(self._limits.header_timeout, self._longest)

    def _drop(self, conn: Connection) -> None:
        data = conn.sock.take(RECEIVE)
        conn.dropped += len(data or b"")
        if data == b"" or conn.dropped > MAX_DRAIN:
            self._remove(conn)

    def _leave(self, conn: Connection) -> None:
        del self._home(conn)[conn]
        self._unfinished -= len(conn.head)
        self._poller.unregister(conn.sock)

    def _remove(self, conn: Connection) -> None:
        if conn in self._home(conn):
            self._leave(conn)
            self._close(conn)

    def _close(self, conn: Connection) -> None:
        conn.sock.close()
        self._gone(conn)

    def _make_room(self) -> None:
        while len(self._strangers) > self._limits.strangers:
            self._remove(next(iter(self._strangers)))
        while len(self._callers) > self._limits.callers:
            self._remove(next(iter(self._callers)))
        while self._unfinished > MAX_UNFINISHED:
            self._remove(next(each for each in self._everyone() if each.head))

    def _everyone(self) -> list[Connection]:
        return [*self._strangers, *self._callers]

    def close_oldest(self) -> bool:
        """Close the stranger, or else the caller, who has waited longest; whether there was one."""
        oldest = next(iter(self._strangers or self._callers), None)
        if oldest is not None:
            self._remove(oldest)
        return oldest is not None

    def tidy(self) -> None:
        """Close those whose time is over. May be called as often as one likes."""
        now = awake()
        if now - self._tidied >= TIDY:
            self._tidied = now
            for conn in self._everyone():
                if conn.deadline < now:
                    self._remove(conn)

    def hasten(self, seconds: float) -> None:
        """Nobody waits for longer than ``seconds`` from now on."""
        self._longest = seconds
        until = awake() + seconds
        for conn in self._everyone():
            conn.deadline = min(conn.deadline, until)

    def close_all(self) -> None:
        """Close everybody."""
        for conn in self._everyone():
            self._remove(conn)


def shut(sock: ClientSocket) -> bool:
    """Say that nothing more will be sent; close if the client has done so, too. On any thread."""
    try:
        sock.shutdown(socket.SHUT_WR)
        if sock.take(RECEIVE) != b"":
            return False
    except OSError:
        pass
    sock.close()
    return True
