"""The limit on clients that follow one job or terminal."""

from __future__ import annotations

import threading

from toolbox_process.errors import TooManyFollowers


class FollowerLimit:
    """The clients that follow, ``limit`` at most. *Any thread.*"""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._clients: set[object] = set()

    def enter(self, client: object) -> None:
        """Add a client. Raises TooManyFollowers."""
        with self._lock:
            if len(self._clients) >= self._limit:
                raise TooManyFollowers(f"too many followers (limit {self._limit})")
            self._clients.add(client)

    def leave(self, client: object) -> None:
        """Remove a client; one that was not added or has left already is ignored."""
        # A set and not a count: one client that leaves twice must not make room for two.
        with self._lock:
            self._clients.discard(client)
