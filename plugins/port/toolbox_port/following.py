"""Events for clients about ports that open and close.

The kernel sends none, so it has to be polled: often while ports change, once a second while they
don't, and not at all while no client follows.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from collections.abc import Iterator

import msgspec

from toolbox.http.client import ClientConnection
from toolbox.http.client import ClientDisconnected
from toolbox.linux.clock import awake
from toolbox_port.errors import NotOpenedInTime
from toolbox_port.listening import Listener
from toolbox_port.listening import owners
from toolbox_port.models import OpenPort
from toolbox_port.models import PortEvent

SHORTEST = 0.05
LONGEST = 1.0
GROWTH = 1.3
"""Seconds between two polls: from the shortest, each longer by this factor, to the longest."""

HEARTBEAT = 15.0
"""Seconds after which a silent stream sends a comment: proxies cut idle connections."""

ListListeners = Callable[[], list[Listener]]


def open_ports(listeners: list[Listener]) -> list[OpenPort]:
    """Return the ports of ``listeners``, ascending, with the processes that have them open."""
    by_port: dict[int, list[Listener]] = {}
    for listener in listeners:
        by_port.setdefault(listener.port, []).append(listener)
    known = owners(listener.inode for listener in listeners)
    ports = []
    for port, group in sorted(by_port.items()):
        found = [known[listener.inode] for listener in group if listener.inode in known]
        owner = min(found, key=lambda process: process.pid, default=None)
        ports.append(
            OpenPort(
                port=port,
                addresses=sorted({listener.address for listener in group}),
                pid=owner.pid if owner else None,
                process=owner.name if owner else "",
            )
        )
    return ports


def wait_for(
    port: int, timeout: float, list_listeners: ListListeners, client: ClientConnection
) -> OpenPort:
    """See :meth:`toolbox_port.backend.PortBackend.wait`."""
    # While the sandbox is frozen its programs can't open the port either.
    deadline = awake() + timeout
    interval = SHORTEST
    while True:
        found = [listener for listener in list_listeners() if listener.port == port]
        if found:
            return open_ports(found)[0]
        left = deadline - awake()
        if left <= 0:
            raise NotOpenedInTime(f"nothing listened on port {port} within {timeout:g} seconds")
        client.wait(min(interval, left))
        interval = min(interval * GROWTH, LONGEST / 4)


class PortStream:
    """The event stream of one client. It ends when the client disconnects or the service stops."""

    def __init__(
        self,
        list_listeners: ListListeners,
        client: ClientConnection,
        stopping: threading.Event,
        on_close: Callable[[], object],
    ) -> None:
        self._list_listeners = list_listeners
        self._client = client
        self._stopping = stopping
        self._on_close: Callable[[], object] | None = on_close
        self._open: dict[int, tuple[OpenPort, frozenset[int]]] = {}

    def close(self) -> None:
        """Let another client follow. The server calls it when the response has ended."""
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()

    def __iter__(self) -> Iterator[bytes]:
        # Sent now, even if no port is open: so the client sees that it is connected.
        yield b": ports\n\n" + b"".join(_encode("listening", port) for port in self._changes()[1])
        interval, last_sent = SHORTEST, time.monotonic()
        while not self._stopping.is_set():
            try:
                self._client.wait(interval)
            except ClientDisconnected:
                return
            closed, opened = self._changes()
            events = [_encode("closed", port) for port in closed]
            events += [_encode("opened", port) for port in opened]
            interval = SHORTEST if events else min(interval * GROWTH, LONGEST)
            if not events and time.monotonic() - last_sent >= HEARTBEAT:
                events = [b": still here\n\n"]
            if events:
                last_sent = time.monotonic()
                yield b"".join(events)

    def _changes(self) -> tuple[list[OpenPort], list[OpenPort]]:
        """Return the ports that were closed and opened since the last poll. A port is in both if
        all of its sockets were replaced.
        """
        now: dict[int, set[int]] = {}
        listeners = self._list_listeners()
        for listener in listeners:
            now.setdefault(listener.port, set()).add(listener.inode)
        closed = [
            self._open.pop(port)[0]
            for port, (_, inodes) in list(self._open.items())
            if inodes.isdisjoint(now.get(port, ()))
        ]
        new = [listener for listener in listeners if listener.port not in self._open]
        # To find the owners all of /proc is read: only if there is something new.
        opened = open_ports(new) if new else []
        sent = {number: port for number, (port, _) in self._open.items()}
        sent.update((port.port, port) for port in opened)
        self._open = {port: (sent[port], frozenset(inodes)) for port, inodes in now.items()}
        return closed, opened


def _encode(event: str, port: OpenPort) -> bytes:
    data = PortEvent(event=event, **msgspec.structs.asdict(port))  # type: ignore[arg-type]
    return b"event: %b\ndata: %b\n\n" % (event.encode(), msgspec.json.encode(data))
