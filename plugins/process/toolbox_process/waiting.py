"""Requests that wait for a command: so many at once, and each no longer than its client."""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager

from toolbox.clock import awake
from toolbox_process.errors import ClientLeft
from toolbox_process.errors import TooManyWaiting

WAIT_FOR_PLACE = 2.0
"""Seconds a request waits for one of the places of those that wait for commands."""

LOOK = 0.5
"""Seconds between looks for a client that has gone."""

Gone = Callable[[], bool]
"""Tells whether the client has gone."""


def never() -> bool:
    """Whether a client has gone that can't go."""
    return False


class Places:
    """Where requests wait. *Any thread.*"""

    def __init__(self, count: int) -> None:
        self._places = threading.BoundedSemaphore(count)

    @contextmanager
    def one(self) -> Iterator[None]:
        """A place. Raises TooManyWaiting."""
        if not self._places.acquire(timeout=WAIT_FOR_PLACE):
            raise TooManyWaiting("too many requests wait for commands", {"Retry-After": "1"})
        try:
            yield
        finally:
            self._places.release()


def wait_for(done: threading.Event, timeout: float | None, gone: Gone) -> bool:
    """Wait for an end; whether it has come within ``timeout`` seconds (0 or None: any). Raises
    ClientLeft as soon as there is nobody to tell.
    """
    deadline = awake() + timeout if timeout else float("inf")
    while not done.wait(max(0.0, min(LOOK, deadline - awake()))):
        if awake() >= deadline:
            return done.is_set()
        if gone():
            raise ClientLeft("the client has gone; what it waited for goes on")
    return True
