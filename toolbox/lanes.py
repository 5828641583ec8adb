"""How many clients may be waited for at once by threads: for more, the slowest gives way.

There are two lanes, so that those who have shown no token can't crowd out those who have.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from toolbox.clock import awake
from toolbox.threads import Crew

if TYPE_CHECKING:
    from toolbox.client import ClientSocket


class Lane:
    """Clients that a thread waits for right now, ``places`` of them.

    ``patience`` is in seconds without a byte moved.
    """

    def __init__(self, crew: Crew, places: int, patience: float) -> None:
        self.patience = patience
        self._crew = crew
        self._places = places
        self._lock = threading.Lock()
        self._waited_for: set[ClientSocket] = set()

    @contextmanager
    def wait(self, client: ClientSocket) -> Iterator[None]:
        """Within it ``client`` is waited for, and may be cut off."""
        with self._lock:
            slowest = None
            if len(self._waited_for) >= self._places:
                slowest = min(self._waited_for, key=_pace)
                self._waited_for.discard(slowest)
            self._waited_for.add(client)
        if slowest is not None:
            slowest.cut()
        try:
            with self._crew.waiting():
                yield
        finally:
            with self._lock:
                self._waited_for.discard(client)


def _pace(client: ClientSocket) -> float:
    """Bytes a second since its request began; the first second counts as a whole."""
    return client.moved / max(1.0, awake() - client.began)


class Lanes:
    """The lane of those who have shown a token, and that of strangers."""

    def __init__(self, crew: Crew, threads: int, stall_timeout: float, header_timeout: float):
        self.callers = Lane(crew, threads, stall_timeout)
        self.strangers = Lane(crew, max(4, threads // 8), min(header_timeout, stall_timeout))
