"""Pools of threads that go on with those they have where the system gives no more."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

IDLE = 5.0
"""Seconds after which a thread of a :class:`Crew` that has nothing to do ends."""

log = logging.getLogger("toolbox")


class Pool(ThreadPoolExecutor):
    """A ThreadPoolExecutor for which a shortage of threads or memory is only a shorter pool.

    The standard one raises from ``submit`` what it has queued all the same: a program that takes
    all processes there may be (a thread is one, pids.max in cgroups(7)) would end the accept loop,
    and with it every session.
    """

    def start(self) -> None:
        """Start the first thread, so that there is always one."""
        self.submit(int)

    def _adjust_thread_count(self) -> None:
        try:
            super()._adjust_thread_count()
        except RuntimeError:
            if not self._threads:
                raise


class _Hand:
    """One thread of a crew, as whoever gives it work sees it."""

    def __init__(self) -> None:
        self.called = threading.Lock()
        self.called.acquire()
        self.job: Callable[[], object] | None = None


class Crew:
    """Threads that do jobs nobody waits for, ``limit`` of them at once; more jobs wait.

    A thread that has to wait for a client says so by :meth:`waiting`, and doesn't count meanwhile:
    however many clients are slow, there are ``limit`` threads for work. The last one that had
    something to do is the first to get the next job, so those there were too many of end.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._idle: list[_Hand] = []
        self._jobs: deque[Callable[[], object]] = deque()
        self._threads = 0
        self._waiting = 0

    def start(self) -> None:
        """Start the first thread, so that there is always one. Raises RuntimeError if it can't."""
        self.submit(int)

    @property
    def busy(self) -> bool:
        """Whether jobs wait for a thread."""
        return bool(self._jobs)

    def submit(self, job: Callable[[], object]) -> None:
        """Have ``job`` done."""
        with self._lock:
            if self._idle:
                hand = self._idle.pop()
                hand.job = job
                hand.called.release()
                return
            self._jobs.append(job)
            if not self._may_start():
                return
            self._threads += 1
        self._start_thread()

    def _may_start(self) -> bool:
        return self._threads - self._waiting < self._limit

    def _start_thread(self) -> None:
        try:
            threading.Thread(target=self._work, name="toolbox-request", daemon=True).start()
        except RuntimeError:  # There is room for no more; those there are will come to it.
            with self._lock:
                self._threads -= 1
                if not self._threads:
                    raise

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Within it the calling thread, one of the crew, waits for somebody else."""
        with self._lock:
            self._waiting += 1
            more = bool(self._jobs) and self._may_start()
            self._threads += more
        if more:
            self._start_thread()
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1

    def _work(self) -> None:
        hand = _Hand()
        while job := self._next_job(hand):
            try:
                job()
            except Exception:
                log.exception("a job failed")

    def _next_job(self, hand: _Hand) -> Callable[[], object] | None:
        """The next job, None if there was none for so long that the thread can go."""
        with self._lock:
            if self._jobs:
                return self._jobs.popleft()
            hand.job = None
            self._idle.append(hand)
        while not hand.called.acquire(timeout=IDLE):
            with self._lock:
                if hand in self._idle and self._threads > 1:
                    self._idle.remove(hand)
                    self._threads -= 1
                    return None
        return hand.job

    def shutdown(self, wait: bool = False) -> None:
        """Drop what nobody has begun. Threads end with the process."""
        with self._lock:
            self._jobs.clear()
