"""The I/O loop's stand-in for something that hardly lasts, on the thread that waits for its end."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable
from typing import Protocol

from toolbox.linux.clock import awake
from toolbox.sockets.loop import Loop
from toolbox.sockets.loop import Timer

BRIEF = 0.05
"""Seconds that a thread watches what it waits for itself, before the I/O loop does."""


class Ending(Protocol):
    """An event."""

    def is_set(self) -> bool:
        """Report whether it has come."""


class BriefLoop(Loop):
    """Waits for file descriptors on the caller's thread, and gives them to ``loop`` in the end.

    A command that ends within milliseconds is then read and reaped by the thread that waits for it,
    without waking another and being woken by that. What other threads ask for, and timers, wait
    for the hand-over: a follower may only be called on ``loop``.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._poll = select.poll()
        self._watched: dict[int, tuple[int, Callable[[int], object]]] = {}
        self._lock = threading.Lock()
        self._later: list[Callable[[], object]] | None = []
        """Calls for ``loop``; None once everything is its."""

    def run(self, end: Ending, wait: bool = True, seconds: float = BRIEF) -> None:
        """Wait until ``end`` has come, ``seconds`` at most, and hand over what is left.

        Without ``wait``, hand over at once.
        """
        try:
            deadline = time.monotonic() + (seconds if wait else 0.0)
            while not end.is_set() and (left := deadline - time.monotonic()) > 0:
                for fd, events in self._poll.poll(left * 1000):
                    if fd in self._watched:  # A callback may have removed it.
                        self._watched[fd][1](events)
        finally:
            self._hand_over()

    def _hand_over(self) -> None:
        # With the lock: what is asked for meanwhile comes after it.
        with self._lock:
            later, self._later = self._later or [], None
            if self._watched:
                self._loop.call_soon(self._add_all)
            for call in later:
                self._loop.call_soon(call)

    def _add_all(self) -> None:
        for fd, (events, callback) in self._watched.items():
            self._loop.add(fd, events, callback)

    @property
    def here(self) -> bool:
        return self._loop.here

    def call_soon(self, callback: Callable[[], object]) -> None:
        with self._lock:
            if self._later is not None:
                self._later.append(callback)
                return
        self._loop.call_soon(callback)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        timer, due = Timer(callback), awake() + seconds
        self.call_soon(lambda: self._loop.call_later(due - awake(), lambda: timer.callback()))
        return timer

    def add(self, fd: int, events: int, callback: Callable[[int], object]) -> None:
        if self._later is None:
            self._loop.add(fd, events, callback)
        else:
            self._watched[fd] = events, callback
            self._poll.register(fd, events)

    def modify(self, fd: int, events: int) -> None:
        if self._later is None:
            self._loop.modify(fd, events)
        else:
            self._watched[fd] = events, self._watched[fd][1]
            self._poll.modify(fd, events)

    def remove(self, fd: int) -> None:
        if self._later is None:
            self._loop.remove(fd)
        elif self._watched.pop(fd, None):
            self._poll.unregister(fd)
