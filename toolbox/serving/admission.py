"""The queue through which requests of strangers come to a thread: a few at once.

Refusing takes time too, and of thousands of requests that are refused each takes its share of the
interpreter. The newest of those that wait is next: the client of an old one has given up, or can
wait. A connection that has been served before comes last.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic
from typing import TypeVar

T = TypeVar("T")

PLACES = 8
"""Requests of strangers that are served at once."""


class AdmissionQueue(Generic[T]):
    """Calls ``serve`` with what may be served; ``room`` others wait, ``drop`` gets the rest."""

    def __init__(
        self, serve: Callable[[T], object], drop: Callable[[T], object], room: int
    ) -> None:
        self._serve = serve
        self._drop = drop
        self._room = room
        self._lock = threading.Lock()
        self._inside = 0
        self._waiting: deque[T] = deque()

    @property
    def crowded(self) -> bool:
        """True if any item waits."""
        return bool(self._waiting)

    def enter(self, item: T, again: bool = False) -> None:
        """Serve ``item``, now or later. ``again`` means that it was served before."""
        with self._lock:
            if self._inside < PLACES:
                self._inside += 1
                dropped = None
            else:
                (self._waiting.appendleft if again else self._waiting.append)(item)
                if len(self._waiting) <= self._room:
                    return
                dropped = self._waiting.popleft()
        # Without the lock: both may take time, or come back here.
        if dropped is None:
            self._serve(item)
        else:
            self._drop(dropped)

    def leave(self) -> None:
        """Free the place of an item that is served, admitted, or waits for its client."""
        with self._lock:
            if not self._waiting:
                self._inside -= 1
                return
            item = self._waiting.pop()
        self._serve(item)
