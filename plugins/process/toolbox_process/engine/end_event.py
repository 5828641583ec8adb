"""An event that is set once and then takes next to no memory."""

from __future__ import annotations

import threading

_entering = threading.Lock()
"""Held while a thread enters or leaves the waiting ones of any event."""


class EndEvent:
    """A `threading.Event` that can't be cleared. *Any thread.*

    Thousands of jobs are kept after their end, and an event takes 1.2 KB; most are never waited
    for. So there is a lock for each thread that waits, and none else.
    """

    __slots__ = ("_set", "_waiting")

    def __init__(self) -> None:
        self._set = False
        self._waiting: tuple[threading.Lock, ...] = ()

    def is_set(self) -> bool:
        """Report whether :meth:`set` was called."""
        return self._set

    def set(self) -> None:
        """Wake every thread that waits."""
        self._set = True
        with _entering:
            waiting, self._waiting = self._waiting, ()
        for lock in waiting:
            lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for at most ``timeout`` seconds, and return whether it is set."""
        if self._set:
            return True
        lock = threading.Lock()
        lock.acquire()
        with _entering:
            if self.is_set():  # Meanwhile.
                return True
            self._waiting = (*self._waiting, lock)
        lock.acquire(timeout=-1 if timeout is None else timeout)
        with _entering:
            self._waiting = tuple(each for each in self._waiting if each is not lock)
        return self._set
