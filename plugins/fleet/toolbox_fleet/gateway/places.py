"""A bound on requests that wait for sandboxes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from toolbox.errors import Unavailable

MOST_OF_ONE = 128
"""Requests in progress of one sandbox: a frozen one must not take the places of all others."""

MOST = 2048
"""Requests in progress of all sandboxes: each has a thread."""


class Places:
    """The requests in progress, by sandbox. *Any thread.*"""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    def take(self, sandbox_id: str) -> Callable[[], None]:
        """Take a place; return what gives it back. Raises Unavailable if there is none."""
        with self._lock:
            if self._taken[sandbox_id] >= MOST_OF_ONE or self._taken.total() >= MOST:
                message = "too many requests wait for the sandbox"
                raise Unavailable(message, {"Retry-After": "1"})
            self._taken[sandbox_id] += 1
        return lambda: self._leave(sandbox_id)

    def _leave(self, sandbox_id: str) -> None:
        with self._lock:
            self._taken[sandbox_id] -= 1
            if not self._taken[sandbox_id]:
                del self._taken[sandbox_id]  # Sandboxes come and go.
