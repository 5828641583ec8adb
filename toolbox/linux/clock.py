"""A clock that stops while the service is stopped.

A service may be stopped for any time and then go on: a frozen control group (``docker pause``),
SIGSTOP, a debugger. The monotonic clock runs on in that time, so a pause would look like a
client's silence. Limits on others are therefore measured by :func:`awake`: the loops call
:func:`tick` every second, and of a time without ticks only ``GAP`` seconds count. A loop that ends
calls :func:`release`, or no limit would ever be reached after it.

(Suspending the machine needs no care: CLOCK_MONOTONIC doesn't count it, clock_gettime(2).)
"""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

TICK = 1.0
"""Seconds after which :func:`tick` is called again, at most."""

OFTEN = 0.25
"""Seconds after a tick in which another changes nothing; with TICK they are less than GAP."""

GAP = 2.0
"""Seconds counted of a time without a tick."""


class Moment(NamedTuple):
    """The last time the clock was set."""

    time: float
    """By the monotonic clock."""
    awake: float
    """The value of :meth:`Clock.awake`."""
    ticked: bool
    """True if another tick is to come."""


class Clock:
    """Counts the seconds in which it was ticked often enough."""

    def __init__(self) -> None:
        # One tuple, so that readers on any thread see all values of one moment.
        self._last = Moment(0.0, 0.0, False)

    def awake(self) -> float:
        """Return the seconds since some moment, without those in which the process was stopped.

        While nothing ticks it runs as the monotonic clock.
        """
        # As _at(), without the calls: every key typed into a terminal asks several times.
        last = self._last
        passed = time.monotonic() - last.time
        return last.awake + (GAP if last.ticked and passed > GAP else passed)

    def tick(self) -> float:
        """Note that the process is running; return :meth:`awake`."""
        now, last = time.monotonic(), self._last
        # Nearly always: a loop ticks with each key that is typed.
        if last.ticked and (passed := now - last.time) < OFTEN:
            return last.awake + passed
        self._last = last = Moment(now, self._at(now, last), True)
        return last.awake

    def release(self) -> None:
        """Expect no further tick. Where others tick, their next one is expected again."""
        now = time.monotonic()
        self._last = Moment(now, self._at(now, self._last), False)

    def _at(self, now: float, last: Moment) -> float:
        passed = now - last.time
        return last.awake + (min(passed, GAP) if last.ticked else passed)


# A process has one, as it has one monotonic clock.
_clock = Clock()
awake = _clock.awake
tick = _clock.tick
release = _clock.release


def wait(event: threading.Event, timeout: float | None) -> bool:
    """Wait until ``event`` is set; report whether it was in ``timeout`` seconds (None: any)."""
    if timeout is None:
        return event.wait()
    until = awake() + timeout
    while not event.is_set() and (left := until - awake()) > 0:
        event.wait(left)
    return event.is_set()
