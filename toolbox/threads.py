"""Thread pools that tolerate failure to start threads, and a bound on who may wait in them."""

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


class Gate:
    """Admits ``limit`` callers at once. *Any thread.*

    ``error()`` makes the exception for one more; it is raised after ``patience`` seconds in which
    no caller left.
    """

    def __init__(self, limit: int, error: Callable[[], Exception], patience: float = 0.0) -> None:
        # Not a semaphore, whose methods are Python's: 6 calls for each request instead of 20.
        self._lock = threading.Lock()
        self._left = threading.Condition(self._lock)
        self._limit = self._free = limit
        self._waiting = 0
        self._error = error
        self._patience = patience

    def enter(self) -> None:
        """Take a slot. Raises what ``error`` makes."""
        with self._lock:
            if not self._free:
                self._wait()
            self._free -= 1

    def _wait(self) -> None:
        self._waiting += 1
        try:
            if not self._left.wait_for(lambda: self._free > 0, self._patience):
                raise self._error()
        finally:
            self._waiting -= 1

    def leave(self) -> None:
        """Give the slot back. Raises ValueError if none was taken."""
        with self._lock:
            if self._free >= self._limit:
                raise ValueError("released too many times")
            self._free += 1
            if self._waiting:
                self._left.notify()

    def admitted(self) -> Gate:
        """Return a context that holds a slot. Entering it raises as :meth:`enter`."""
        return self

    def __enter__(self) -> None:
        self.enter()

    def __exit__(self, *error: object) -> None:
        self.leave()


class Pool(ThreadPoolExecutor):
    """A ThreadPoolExecutor that goes on with the threads it has if no more can be started.

    The standard one raises from ``submit``, though it has queued the call: a program that takes all
    processes the system allows (a thread is one, pids.max in cgroups(7)) would end the accept loop,
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


class _Idler:
    """A thread of a crew that waits for a job."""

    def __init__(self) -> None:
        self.called = threading.Lock()
        self.called.acquire()
        self.job: Callable[[], object] | None = None


class Crew:
    """Threads for jobs without a result, ``limit`` of them at once; further jobs are queued.

    A thread that has to wait for a client does so within :meth:`waiting`, and doesn't count there:
    however many clients are slow, there are ``limit`` threads for work. The thread that became idle
    last gets the next job, so that surplus threads stay idle and end.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._idle: list[_Idler] = []
        self._jobs: deque[Callable[[], object]] = deque()
        self._threads = 0
        self._waiting = 0

    def start(self) -> None:
        """Start the first thread, so that there is always one. Raises RuntimeError on failure."""
        self.submit(int)

    @property
    def busy(self) -> bool:
        """True if jobs wait for a thread."""
        return bool(self._jobs)

    def submit(self, job: Callable[[], object]) -> None:
        """Run ``job`` on a thread, now or later."""
        with self._lock:
            if self._idle:
                idler = self._idle.pop()
                idler.job = job
                idler.called.release()
                return
            self._jobs.append(job)
            if not self._may_start():
                return
            self._threads += 1
        # Without the lock: start() waits until the new thread runs, and that may need it.
        self._start_thread()

    def _may_start(self) -> bool:
        return self._threads - self._waiting < self._limit

    def _start_thread(self) -> None:
        try:
            threading.Thread(target=self._work, name="toolbox-request", daemon=True).start()
        except RuntimeError:  # The system gives no more; the others will come to the job.
            with self._lock:
                self._threads -= 1
                if not self._threads:
                    raise

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Don't count the calling thread, one of the crew, within the block: it waits there."""
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
        idler = _Idler()
        while job := self._next_job(idler):
            try:
                job()
            except Exception:
                log.exception("a job failed")

    def _next_job(self, idler: _Idler) -> Callable[[], object] | None:
        """Return the next job, None if the thread has been idle for long enough to end."""
        with self._lock:
            if self._jobs:
                return self._jobs.popleft()
            idler.job = None
            self._idle.append(idler)
        while not idler.called.acquire(timeout=IDLE):
            with self._lock:
                # Otherwise submit() has taken it off the list just now, and its call follows.
                if idler in self._idle and self._threads > 1:
                    self._idle.remove(idler)
                    self._threads -= 1
                    return None
        return idler.job

    def shutdown(self, wait: bool = False) -> None:
        """Drop the jobs that haven't begun. Threads end with the process."""
        with self._lock:
            self._jobs.clear()
