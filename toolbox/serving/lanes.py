"""A bound on threads that wait for clients at once: for one more, the slowest client is cut off.

There are two lanes, so that clients without a token can't crowd out those with one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import contextmanager
from typing import TYPE_CHECKING

from toolbox.linux.clock import awake
from toolbox.threads import Crew

if TYPE_CHECKING:
    from toolbox.http.connection import ClientSocket


class Lane:
    """Clients that threads wait for at present, ``limit`` of them at most.

    ``patience`` is in seconds without a byte moved.
    """

    def __init__(self, crew: Crew, limit: int, patience: float) -> None:
        self.patience = patience
        self._crew = crew
        self._limit = limit
        self._lock = threading.Lock()
        self._waited_for: set[ClientSocket] = set()
        self._interrupted = False

    @contextmanager
    def wait(self, client: ClientSocket) -> Iterator[None]:
        """Count the calling thread as waiting for ``client``, which may be cut off."""
        if self._interrupted:
            client.cut(interrupted=True)
        with self._lock:
            slowest = None
            if len(self._waited_for) >= self._limit:
                slowest = min(self._waited_for, key=_pace)
                self._waited_for.discard(slowest)
            self._waited_for.add(client)
        # Without the lock: the thread that waited for it takes it next.
        if slowest is not None:
            slowest.cut()
        try:
            with self._crew.waiting():
                yield
        finally:
            with self._lock:
                self._waited_for.discard(client)

    def interrupt(self) -> None:
        """Cut off every client that is waited for, now or later."""
        self._interrupted = True
        with self._lock:
            clients, self._waited_for = self._waited_for, set()
        for client in clients:
            client.cut(interrupted=True)


def _pace(client: ClientSocket) -> float:
    """Return bytes per second since its request began; the first second counts as a whole."""
    return client.moved / max(1.0, awake() - client.began)


class Lanes:
    """The lane of callers, who have shown a token, and that of strangers, who haven't."""

    def __init__(self, crew: Crew, threads: int, stall_timeout: float, header_timeout: float):
        self._crew = crew
        self.callers = Lane(crew, threads, stall_timeout)
        self.strangers = Lane(crew, max(4, threads // 8), min(header_timeout, stall_timeout))

    def interrupt(self) -> None:
        """Cut off the clients that are waited for: the service is being upgraded."""
        self.callers.interrupt()
        self.strangers.interrupt()

    def elsewhere(self) -> AbstractContextManager[None]:
        """Don't count the calling thread within the block: it waits for another server."""
        return self._crew.waiting()
