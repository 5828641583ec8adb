"""An event that is set once and then takes next to no memory."""

from __future__ import annotations

import threading


class EndEvent:
    """A `threading.Event` that can't be cleared. *Any thread.*

    Thousands of jobs are kept after their end, and an event takes 1.2 KB: it is dropped when set.
    """

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: threading.Event | None = threading.Event()

    def is_set(self) -> bool:
        """Report whether :meth:`set` was called."""
        return self._event is None

    def set(self) -> None:
        """Wake every thread that waits."""
        # In this order: a thread that comes in between finds it set, one that waits is woken.
        event, self._event = self._event, None
        if event is not None:
            event.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for at most ``timeout`` seconds, and return whether it is set."""
        event = self._event
        return event is None or event.wait(timeout)
