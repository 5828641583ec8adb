"""A clock that stands still while the service does.

A service may be stopped for any time and then go on: a frozen control group (``docker pause``),
SIGSTOP, a debugger. The monotonic clock runs on meanwhile, so whoever compares it takes a pause
for a client's silence. What limits others is therefore measured by :func:`awake`: whoever ticks
comes by every second, and of a time in which nobody came only ``GAP`` seconds count.

(A suspended machine needs nothing of this: CLOCK_MONOTONIC doesn't count that, clock_gettime(2).)
"""

from __future__ import annotations

import threading
import time

TICK = 1.0
"""Seconds after which :func:`tick` is called again, at most."""

GAP = 2.0
"""Seconds that count of a time without a tick."""


class Clock:
    """Counts the seconds in which it was ticked, or read, often enough."""

    def __init__(self) -> None:
        # One tuple, so that readers on any thread see both of one moment.
        self._seen: tuple[float, float] | None = None

    def awake(self) -> float:
        """Seconds since some moment, without those in which the process didn't run.

        Where nothing ticks it is the monotonic clock.
        """
        now = time.monotonic()
        if self._seen is None:
            return now
        at, value = self._seen
        return value + min(now - at, GAP)

    def tick(self) -> None:
        """The process runs."""
        now = time.monotonic()
        at, value = self._seen or (now, now)
        self._seen = now, value + min(now - at, GAP)


# A process has one, as it has one monotonic clock.
_clock = Clock()
awake = _clock.awake
tick = _clock.tick


def wait(event: threading.Event, timeout: float | None) -> bool:
    """Wait until ``event`` is set; whether it was within ``timeout`` seconds (None: any)."""
    if timeout is None:
        return event.wait()
    until = awake() + timeout
    while not event.is_set() and (left := until - awake()) > 0:
        event.wait(left)
    return event.is_set()
