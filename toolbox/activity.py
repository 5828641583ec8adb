"""Activity of clients: the traffic of the service, and what runs for them.

Whoever pays for a sandbox stops it when nobody does; the operation ``GET /x/activity`` tells.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from datetime import UTC
from datetime import datetime
from typing import NamedTuple
from typing import Protocol

import msgspec

from toolbox.linux.clock import awake

LATELY = 5.0
"""Seconds after its last message in which a WebSocket counts as busy."""


class Mark(NamedTuple):
    """A moment, by two clocks; the later one is the greater."""

    awake: float
    """By :func:`toolbox.linux.clock.awake`, which doesn't jump: for durations."""
    at: float
    """Seconds since the epoch, to be shown."""

    @classmethod
    def now(cls) -> Mark:
        """Return the current moment."""
        return cls(awake(), time.time())


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """The jobs that a backend runs for clients; idle shells and interpreters are none."""

    running: int = 0
    """Jobs that run."""
    last_end: Mark | None = None
    """The last end of one of them, None if there was none."""


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """The messages of WebSockets."""

    received: int
    sent: int
    """Bytes since the start, pings too."""
    last: Mark
    """The last message; pings are none."""


class Connection(Protocol):
    """The connection of a request."""

    def take_counts(self) -> tuple[int, int]:
        """Return the bytes received and sent since the last call."""


class ActivityReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The use that is made of the service, and the time since the last.

    Health checks, metrics and requests for this report don't count, nor do refused ones.
    """

    last_activity_at: str
    """The last request's end, WebSocket message or job's end, RFC 3339; at first, the start."""
    idle_seconds: float
    """Seconds since then, but for those in which the service was suspended."""
    busy: bool
    """True if a job runs, a request is being served, or a WebSocket has moved data lately."""
    in_flight: int
    """Requests being served, also those to applications behind the proxy."""
    open_sockets: int
    running_jobs: int
    """Commands, code and programs in the foreground of terminals; no idle shell or interpreter."""
    received_bytes: int
    sent_bytes: int
    """Bytes of requests that have ended and of WebSockets, since the worker process started."""


class Activity:
    """The requests of callers: those that were let in, but for monitors'. *Any thread.*"""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = Mark.now()
        self._in_flight: set[Connection] = set()
        self._received = 0
        self._sent = 0

    def note(self) -> None:
        """Note that a client has done something just now."""
        self._last = Mark.now()

    def enter(self, connection: Connection) -> None:
        """Note that a request has been let in."""
        with self._lock:
            self._in_flight.add(connection)
        self.note()

    def leave(self, connection: Connection) -> None:
        """Note the end of a request, and its bytes, if it is one that has entered."""
        # Of any request, or else they would count for the next one of the connection.
        received, sent = connection.take_counts()
        with self._lock:
            if connection not in self._in_flight:
                return
            self._in_flight.remove(connection)
            self._received += received
            self._sent += sent
        self.note()

    def report(self, sockets: int, traffic: Traffic, works: Iterable[Work]) -> ActivityReport:
        """Report it together with that of ``sockets`` open WebSockets and of the backends."""
        found = list(works)
        running = sum(work.running for work in found)
        ends = [work.last_end for work in found if work.last_end is not None]
        last, in_flight = max(self._last, traffic.last, *ends), len(self._in_flight)
        moved_lately = sockets > 0 and awake() - traffic.last.awake < LATELY
        at = datetime.fromtimestamp(last.at, UTC).isoformat(timespec="milliseconds")
        return ActivityReport(
            last_activity_at=at.replace("+00:00", "Z"),
            idle_seconds=round(max(0.0, awake() - last.awake), 3),
            busy=bool(running or in_flight or moved_lately),
            in_flight=in_flight,
            open_sockets=sockets,
            running_jobs=running,
            received_bytes=self._received + traffic.received,
            sent_bytes=self._sent + traffic.sent,
        )
