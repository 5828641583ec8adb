"""The gate through which strangers' requests come to a thread: a few at once.

Refusing takes time too, and of thousands of requests that are refused each takes its share of the
interpreter. Of those that wait the newest is next: an old one's client is gone, or doesn't care.
Whoever has been served before comes last.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic
from typing import TypeVar

T = TypeVar("T")

PLACES = 8


class Gate(Generic[T]):
    """Hands to ``serve`` what may be served; ``room`` others wait, the rest goes to ``drop``."""

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
        """Whether somebody waits."""
        return bool(self._waiting)

    def enter(self, one: T, again: bool = False) -> None:
        """Serve ``one``, now or later. ``again`` says that it was served before."""
        with self._lock:
            if self._inside < PLACES:
                self._inside += 1
                dropped = None
            else:
                (self._waiting.appendleft if again else self._waiting.append)(one)
                if len(self._waiting) <= self._room:
                    return
                dropped = self._waiting.popleft()
        if dropped is None:
            self._serve(one)
        else:
            self._drop(dropped)

    def leave(self) -> None:
        """One that was served has ended, is no stranger, or waits for its client."""
        with self._lock:
            if not self._waiting:
                self._inside -= 1
                return
            next_one = self._waiting.pop()
        self._serve(next_one)
