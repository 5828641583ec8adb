"""The one I/O thread: an epoll loop for WebSockets, pipes and PTYs.

Callbacks run on the loop's thread and must not block; work that blocks belongs on a pool. The
methods marked *any thread* may be called from anywhere, the others only on the loop.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import select
import threading
from collections import deque
from collections.abc import Callable

from toolbox.linux.clock import TICK
from toolbox.linux.clock import awake
from toolbox.linux.clock import release
from toolbox.linux.clock import tick

IN = select.EPOLLIN
OUT = select.EPOLLOUT
HANGUP = select.EPOLLHUP | select.EPOLLERR | select.EPOLLRDHUP

_CROWD = 64
"""Timers from which on canceled ones are removed, whenever their number has doubled."""

FAILED = "a callback of the I/O loop failed"

log = logging.getLogger("toolbox")


class Timer:
    """A callback that is due later."""

    __slots__ = ("callback", "canceled")

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback = callback
        self.canceled = False

    def cancel(self) -> None:
        """Forget the callback. *Any thread.*"""
        self.canceled = True
        # A canceled timer may be kept until it is due, but nothing that the callback refers to.
        self.callback = _nothing


def _nothing() -> None:
    """Stand in for the callback of a canceled timer."""


class Loop:
    """Waits for file descriptors, timers and calls from other threads."""

    def __init__(self, name: str = "toolbox-loop") -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, tuple[Callable[[int], object], int]] = {}
        self._round = 0
        self._calls: deque[Callable[[], object]] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._crowd = _CROWD
        self._order = itertools.count()
        self._now = 0.0
        """The time at which the present round began."""
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wake_lock = threading.Lock()
        self._woken = False
        self._epoll.register(self._wake_read, IN)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._ident = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread once the calls made before this one have run. *Any thread.*"""
        self.call_soon(self._stop)
        self._thread.join()

    def _stop(self) -> None:
        self._stopping = True

    @property
    def here(self) -> bool:
        """True on the loop's thread. *Any thread.*"""
        return threading.get_ident() == self._ident

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Run ``callback`` on the loop, unless that has ended. *Any thread.*"""
        self._calls.append(callback)
        if self._woken or self.here:
            return  # The loop runs the calls before it waits again.
        # A loop that is awake may run the callback, and end by it, before it is woken here: the
        # pipe's number may be another file's by then.
        with self._wake_lock:
            if self._wake_write < 0:
                return
            self._woken = True
            try:
                os.write(self._wake_write, b"\0")
            except BlockingIOError:
                pass  # The pipe is full of wake-ups already.

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Run ``callback`` on the loop after ``seconds``, not counting those in which the service
        was stopped. *Any thread.*
        """
        timer = Timer(callback)
        due = awake() + seconds
        if self.here:
            self._add_timer(due, timer)
        else:
            self.call_soon(lambda: self._add_timer(due, timer))
        return timer

    def _add_timer(self, due: float, timer: Timer) -> None:
        if len(self._timers) >= self._crowd:
            self._timers = [entry for entry in self._timers if not entry[2].canceled]
            heapq.heapify(self._timers)
            self._crowd = max(_CROWD, 2 * len(self._timers))
        heapq.heappush(self._timers, (due, next(self._order), timer))

    def add(self, fd: int, events: int, callback: Callable[[int], object]) -> None:
        """Call ``callback(events)`` whenever ``fd`` is ready for ``events`` (or hung up). *Any
        thread*, for a descriptor that is new.
        """
        # In this order: another thread's may be ready at once.
        self._callbacks[fd] = (callback, self._round)
        self._epoll.register(fd, events)

    def modify(self, fd: int, events: int) -> None:
        """Change the events waited for; 0 means errors and hang-ups only."""
        self._epoll.modify(fd, events)

    def remove(self, fd: int) -> None:
        """Forget ``fd``. To be called before it is closed."""
        if self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def _run(self) -> None:
        self._ident = threading.get_ident()
        while not self._stopping:
            ready = self._epoll.poll(self._timeout(), 256)
            self._round += 1
            self._now = tick()
            for fd, events in ready:
                if fd == self._wake_read:
                    self._drain_wake_ups()
                else:
                    self._dispatch(fd, events)
            if self._timers and self._timers[0][0] <= self._now:
                self._run_timers()
            if self._calls:
                self._run_calls()
        release()
        self._epoll.close()
        # Both ends under the lock: writing to a pipe without its reading end raises EPIPE.
        with self._wake_lock:
            os.close(self._wake_read)
            os.close(self._wake_write)
            self._wake_write = -1

    def _dispatch(self, fd: int, events: int) -> None:
        callback, added = self._callbacks.get(fd, (None, 0))
        # An earlier callback of this round may have closed this descriptor, and another may have
        # opened one of the same number since: what is reported here is not about that one.
        if callback is not None and added != self._round:
            try:  # As _guard(), without the call: it is made for each key twice.
                callback(events)
            except Exception:
                log.exception(FAILED)

    def _timeout(self) -> float:
        if self._calls:
            return 0
        while self._timers and self._timers[0][2].canceled:
            heapq.heappop(self._timers)
        # Without another look at the clock: no callback may run for a second.
        if not self._timers or self._timers[0][0] - self._now > 2 * TICK:
            return TICK
        return max(0.0, min(TICK, self._timers[0][0] - awake()))

    def _drain_wake_ups(self) -> None:
        try:
            os.read(self._wake_read, 65536)
        except BlockingIOError:
            pass
        # Before the calls are run: one that is added after them must wake the loop again.
        self._woken = False

    def _run_timers(self) -> None:
        while self._timers and self._timers[0][0] <= self._now:
            timer = heapq.heappop(self._timers)[2]
            if not timer.canceled:
                self._guard(timer.callback)

    def _run_calls(self) -> None:
        # Only those queued so far: a call that queues itself again must not starve the sockets.
        for _ in range(len(self._calls)):
            self._guard(self._calls.popleft())

    def _guard(self, callback: Callable[[], object]) -> None:
        try:
            callback()
        except Exception:
            # One connection's bug must not end the I/O of all others.
            log.exception(FAILED)
