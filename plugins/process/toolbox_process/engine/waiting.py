"""Requests that wait for a command: a limited number, each as long as its client is connected."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from toolbox.errors import Unavailable
from toolbox.linux.clock import awake
from toolbox.sockets.loop import Loop
from toolbox.threads import Gate
from toolbox_process.engine.end_event import EndEvent
from toolbox_process.errors import ClientLeft
from toolbox_process.errors import TooManyWaiting

WAIT_FOR_PLACE = 2.0
"""Maximum seconds a request waits at the gate."""

LOOK = 0.5
"""Seconds between checks whether the client is still connected."""

IsDisconnected = Callable[[], bool]
"""Reports whether the client has disconnected."""


class Shutter:
    """Lets things begin, each in a ``with`` block, until it is closed for good. *Any thread.*"""

    def __init__(self) -> None:
        # Entered without the condition, whose methods are Python's.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._inside = 0
        self._closed = False

    def __enter__(self) -> None:
        """Begin something. Raises Unavailable once the shutter is closed."""
        with self._lock:
            if self._closed:
                raise Unavailable("the service is being upgraded", {"Retry-After": "1"})
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._closed:
                self._changed.notify_all()

    def close(self, timeout: float) -> None:
        """Let nothing begin any more, and wait for what is about to."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: not self._inside, timeout)


def never() -> bool:
    """Return False, for a caller without a client that could disconnect."""
    return False


def new_gate(limit: int) -> Gate:
    """Return the gate for ``limit`` requests that wait for commands; it raises TooManyWaiting."""
    return Gate(limit, _too_many_waiting, WAIT_FOR_PLACE)


def _too_many_waiting() -> TooManyWaiting:
    return TooManyWaiting("too many requests wait for commands", {"Retry-After": "1"})


def wait_for(done: EndEvent, timeout: float | None, is_disconnected: IsDisconnected) -> bool:
    """Wait for an end; return whether it came within ``timeout`` seconds (0 or None: no limit).

    Raises ClientLeft soon after the client has disconnected.
    """
    deadline = awake() + timeout if timeout else float("inf")
    # In short steps: nothing else reports that the client has disconnected.
    while not done.wait(max(0.0, min(LOOK, deadline - awake()))):
        if awake() >= deadline:
            return done.is_set()
        if is_disconnected():
            raise ClientLeft("client disconnected; its command goes on")
    return True


class TimeLimited(Protocol):
    """A job that may have a time limit."""

    due: float | None
    done: EndEvent

    def when_ended(self, callback: Callable[[], object]) -> None:
        """Call ``callback()`` at the end. On the loop."""


def limit_time(loop: Loop, job: TimeLimited, seconds: float, end: Callable[[], object]) -> None:
    """Call ``end()`` on the loop after ``seconds`` unless the job has ended by then. *Any
    thread.*
    """

    def time_is_over() -> None:
        if not job.done.is_set():
            end()

    job.due = awake() + seconds
    timer = loop.call_later(seconds, time_is_over)
    # If the job has ended by then, when_ended cancels the timer at once.
    loop.call_soon(lambda: job.when_ended(timer.cancel))
