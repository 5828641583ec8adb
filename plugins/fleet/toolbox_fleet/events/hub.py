"""The clients that follow events, and the order in which each of them gets all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

import msgspec

from toolbox.auth.access import Auth
from toolbox.sockets.handler import SocketHandler
from toolbox.sockets.loop import Loop
from toolbox_fleet.events.packets import Viewer
from toolbox_fleet.events.packets import event_packet
from toolbox_fleet.events.socket import EventSocket
from toolbox_fleet.models.events import Event

MOST_PENDING = 64 * 1024 * 1024
"""Bytes that wait for all clients together. Each may have a buffer of its own, but hundreds that
read nothing, with an environment in every event, would fill the memory.
"""


class EventHub:
    """Sends each event to every client that has joined, with URLs as that client reaches them.

    ``direct_url`` returns the URL of a sandbox's own port for clients on this machine, or None.
    """

    def __init__(self, auth: Auth, loop: Loop, direct_url: Callable[[str], str | None]) -> None:
        self._auth = auth
        self._loop = loop
        self._direct_url = direct_url
        self._joined: set[EventSocket] = set()
        """Changed on the loop only."""
        self._events: SimpleQueue[Event | None] = SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def handler(self, viewer: Viewer) -> SocketHandler:
        """Return the handler of one client's connection."""
        return EventSocket(self._auth.authenticator, self._loop, self._joined, viewer)

    def publish(self, event: Event) -> None:
        """Send an event to all, soon. From any thread; events of one thread keep their order."""
        if not self._joined:
            return  # A client that joins later asks for the state after it has joined.
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="toolbox-fleet-events", daemon=True
                )
                self._thread.start()
        self._events.put(event)

    def close(self) -> None:
        """End the thread."""
        self._events.put(None)

    # A thread of its own: a backend reports while it holds its locks, and the address of a
    # sandbox may need them, or a disk. Neither the backend nor the loop may wait for that.
    def _work(self) -> None:
        while (event := self._events.get()) is not None:
            # One that is gone has no address, and a backend would look for it far away.
            is_there = event.sandbox.state != "destroyed"
            direct = self._direct_url(event.sandbox.id) if is_there else None
            self._loop.call_soon(self._emission(event, direct))

    def _emission(self, event: Event, direct: str | None) -> Callable[[], None]:
        packets: dict[str, str] = {}

        def emit() -> None:
            for client in list(self._joined):
                url = (direct if client.viewer.is_local else None) or client.viewer.proxied
                # Clients that see the same URL get the same packet: it is encoded once.
                if url not in packets:
                    packets[url] = event_packet(_seen(event, url))
                client.emit(packets[url])
            self._drop_the_slowest()

        return emit

    def _drop_the_slowest(self) -> None:
        """Drop those clients that are furthest behind, if too much waits for all together."""
        total = sum(client.pending for client in self._joined)
        while total > MOST_PENDING:
            slowest = max(self._joined, key=lambda client: client.pending)
            total -= slowest.pending
            slowest.drop()


def _seen(event: Event, url: str) -> Event:
    sandbox = msgspec.structs.replace(event.sandbox, toolbox_proxy_url=url)
    return msgspec.structs.replace(event, sandbox=sandbox)
