"""How many clients may follow one job or terminal at once."""

from __future__ import annotations

import threading

from toolbox_process.errors import TooManyFollowers


class Followers:
    """The clients there are. *Any thread.*"""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._clients: set[object] = set()

    def enter(self, client: object) -> None:
        """One more. Raises TooManyFollowers."""
        with self._lock:
            if len(self._clients) >= self._limit:
                raise TooManyFollowers(f"{self._limit} clients follow it already")
            self._clients.add(client)

    def leave(self, client: object) -> None:
        """One less, if it was one."""
        with self._lock:
            self._clients.discard(client)
