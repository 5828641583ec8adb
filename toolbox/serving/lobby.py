"""Connections that need no thread: new, kept alive, in the middle of a head, or closing.

They wait on the accept loop, and never block it. Clients that have never shown a token are
strangers, the others callers. Strangers, callers and bytes of unfinished heads are each bounded;
for one more, the connection that has waited longest is closed: serious clients don't wait long.
"""

from __future__ import annotations

import logging
import resource
import selectors
import socket
from collections.abc import Callable
from typing import Any

import msgspec
from gunicorn.workers.gthread import TConn

from toolbox.errors import ToolboxError
from toolbox.http.connection import ClientSocket
from toolbox.linux.clock import awake
from toolbox.serving.exchange.requests import Parser
from toolbox.serving.heads import HeadLimits
from toolbox.serving.heads import is_complete
from toolbox.settings import ServerSettings

RECEIVE = 16 * 1024
"""Bytes received at once."""
MAX_UNFINISHED = 8 * 1024 * 1024
"""Bytes of all unfinished heads."""
LINGER = 2.0
"""Seconds a client has to close its end after the last response (RFC 9112, 9.6)."""
MAX_DRAIN = 4 * 1024 * 1024
"""Bytes received and dropped in that time."""
TIDY = 0.5
"""Seconds between two looks for connections whose time is over."""
MAX_CALLERS = 4096
"""Idle connections of clients that have shown a token."""

log = logging.getLogger("toolbox")


class Connection(TConn):
    """A client's connection, and its state in the lobby."""

    sock: ClientSocket
    parser: Any

    def __init__(self, cfg: Any, sock: ClientSocket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.data_ready = True
        self.head = bytearray()
        """The part of the next head that has come."""
        self.deadline = 0.0
        self.parting = False
        self.dropped = 0
        self.refusal: ToolboxError | None = None
        """The error for a head that is refused."""

    def init(self) -> None:
        """Make the parser, before the first request."""
        if self.parser is None:
            self.parser = Parser(self.cfg, self.sock, self.client)
            self.initialized = True


class LobbyLimits(msgspec.Struct, frozen=True):
    """Connections of each kind, seconds idle and for a head, and the head's size."""

    strangers: int
    callers: int
    keep_alive: float
    header_timeout: float
    head: HeadLimits


def lobby_limits(server: ServerSettings, head: HeadLimits) -> LobbyLimits:
    """Return the limits of the settings, within the descriptors that this process may have."""
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return LobbyLimits(
        strangers=min(server.max_strangers, descriptors // 4),
        callers=min(MAX_CALLERS, descriptors // 2),
        keep_alive=server.keep_alive,
        header_timeout=server.header_timeout,
        head=head,
    )


class Lobby:
    """All waiting connections. Every method is called on the accept loop.

    ``ready(connection)`` takes over one with a complete head, or a refusal; ``closed(connection)``
    is called after one was closed.
    """

    def __init__(
        self,
        poller: selectors.BaseSelector,
        limits: LobbyLimits,
        ready: Callable[[Connection], object],
        closed: Callable[[Connection], object],
    ) -> None:
        self._poller = poller
        self._limits = limits
        self._ready = ready
        self._closed = closed
        # Dicts keep their order: the one that has waited longest is first.
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
        """Close once the client has taken what was sent: closing at once would cut that off."""
        # Unread input would turn the close into a reset (RFC 9112, 9.6), so it is read and dropped.
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
        # A closing connection counts as a stranger's.
        return self._callers if conn.sock.was_known and not conn.parting else self._strangers

    def _woken(self, conn: Connection) -> None:
        if conn in self._home(conn):  # An earlier event of this round may have ended it.
            self._guard(conn, self._drop if conn.parting else self._read)

    def _guard(self, conn: Connection, step: Callable[[Connection], object]) -> None:
        """Run a step, of which no error may end the accept loop of all connections."""
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
        """Hand it over if its head is complete; ``seen`` bytes were checked before."""
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
        self._closed(conn)

    def _make_room(self) -> None:
        while len(self._strangers) > self._limits.strangers:
            self._remove(next(iter(self._strangers)))
        while len(self._callers) > self._limits.callers:
            self._remove(next(iter(self._callers)))
        while self._unfinished > MAX_UNFINISHED:
            self._remove(next(conn for conn in self._everyone() if conn.head))

    def _everyone(self) -> list[Connection]:
        return [*self._strangers, *self._callers]

    def close_oldest(self) -> bool:
        """Close the stranger, or else the caller, that has waited longest; report if any has."""
        oldest = next(iter(self._strangers or self._callers), None)
        if oldest is not None:
            self._remove(oldest)
        return oldest is not None

    def tidy(self) -> None:
        """Close connections whose time is over. Cheap if called often."""
        now = awake()
        if now - self._tidied >= TIDY:
            self._tidied = now
            for conn in self._everyone():
                if conn.deadline < now:
                    self._expire(conn)

    def _expire(self, conn: Connection) -> None:
        """Close a connection, unless its client has just sent a request: on a busy machine it may
        lie there already, and would be lost by a reset.
        """
        before = conn.deadline
        if not conn.head and not conn.parting:
            self._guard(conn, self._read)
        if conn.deadline == before:
            self._remove(conn)

    def hasten(self, seconds: float) -> None:
        """Let no connection wait for longer than ``seconds`` from now on."""
        self._longest = seconds
        until = awake() + seconds
        for conn in self._everyone():
            conn.deadline = min(conn.deadline, until)

    def close_all(self) -> None:
        """Close all connections."""
        for conn in self._everyone():
            self._remove(conn)


def shut(sock: ClientSocket) -> bool:
    """Shut down sending; close if the client has shut down, too, and report whether. Any thread."""
    try:
        sock.shutdown(socket.SHUT_WR)
        if sock.take(RECEIVE) != b"":
            return False
    except OSError:
        pass
    sock.close()
    return True
