"""Worker processes that run dulwich.

It computes for seconds in Python, which would stall every other request of the service; it may
hang on a silent server, which only the end of the process is sure to stop; and its memory is
returned only when the process exits. Workers are kept for a while, because starting one takes
longer than most operations.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterator
from functools import partial

from toolbox.errors import RequestTimeout
from toolbox.errors import ToolboxError
from toolbox.errors import Unavailable
from toolbox.linux.clock import awake
from toolbox.processes import popen
from toolbox_git.backend import IsDisconnected
from toolbox_git.dulwich.messages import STARTED
from toolbox_git.dulwich.messages import Task
from toolbox_git.dulwich.messages import error_named
from toolbox_git.dulwich.messages import frame
from toolbox_git.dulwich.messages import length
from toolbox_git.dulwich.messages import unframe
from toolbox_git.environment import clean_environment
from toolbox_git.errors import TransportFailed
from toolbox_git.stall_detector import StallDetector

MAX_WORKERS = 8
MAX_IDLE = 2
_POLL = 0.25
"""Seconds between checks for a timeout or a disconnected client."""
_GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""

log = logging.getLogger("toolbox")


class WorkerExited(Exception):
    """A worker that had been idle exited before it took the task."""


class WorkerPool:
    """A pool of at most :data:`MAX_WORKERS` workers, each with one task at a time."""

    def __init__(self) -> None:
        self._slots = threading.BoundedSemaphore(MAX_WORKERS)
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._closed = False

    def run(
        self,
        task: Task,
        timeout: float,
        *,
        network: bool = False,
        disconnected: IsDisconnected | None = None,
    ) -> bytes:
        """Run a task; return its result as MessagePack, or raise its error.

        Raises RequestTimeout, TransportFailed or Unavailable as for a git process.
        """
        deadline = awake() + timeout
        with self._slots:
            data = None
            while data is None:
                # A worker that had been idle for too long just then exits: another gets the task.
                with contextlib.suppress(WorkerExited), self._worker() as worker:
                    detector = worker.stall_detector(task.stall_timeout) if network else None
                    data = worker.run(task, partial(self._check, deadline, detector, disconnected))
        outcome = unframe(data)
        if outcome.detail:
            log.error("git: a worker failed: %s", outcome.detail)
        if outcome.error:
            raise error_named(outcome.error, outcome.message)
        return bytes(outcome.result)

    def close(self) -> None:
        """Terminate every worker; running tasks fail."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.end()

    def _check(
        self, deadline: float, detector: StallDetector | None, disconnected: IsDisconnected | None
    ) -> None:
        if self._closed:
            raise Unavailable("the service is stopping")
        if awake() > deadline:
            message = "timeout: the operation took too long and was terminated"
            raise TransportFailed(message) if detector else RequestTimeout(message)
        if disconnected is not None and disconnected():
            raise RequestTimeout("client disconnected; the operation was terminated")
        if detector is not None:
            detector.check()

    @contextlib.contextmanager
    def _worker(self) -> Iterator[Worker]:
        """Provide a worker, which is kept for other tasks unless the block fails."""
        worker = self._take()
        try:
            yield worker
        except BaseException:
            # It may still be at work: nothing but its end makes it free for another task.
            worker.end()
            with self._lock:
                self._busy.discard(worker)
            raise
        self._give_back(worker)

    def _take(self) -> Worker:
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        # Started outside the lock, because starting a process takes a while.
        worker = worker or Worker()
        with self._lock:
            self._busy.add(worker)
        return worker

    def _give_back(self, worker: Worker) -> None:
        with self._lock:
            self._busy.discard(worker)
            exited = [idle for idle in self._idle if idle.has_exited()]
            self._idle = [idle for idle in self._idle if idle not in exited]
            keep = len(self._idle) < MAX_IDLE and not self._closed
            if keep:
                self._idle.append(worker)
        # Outside the lock: this waits for processes.
        for old in exited if keep else [*exited, worker]:
            old.end()


class Worker:
    """One worker process."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] = popen(
            [sys.executable, "-m", "toolbox_git.dulwich.workers.main"],
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._has_worked = False

    def has_exited(self) -> bool:
        """Report whether the process has exited, after being idle for too long."""
        return self._process.poll() is not None

    def stall_detector(self, patience: float) -> StallDetector:
        """Return a detector for a remote that the worker uses."""
        return StallDetector(self._process.pid, patience)

    def run(self, task: Task, check: Callable[[], None]) -> bytes:
        """Run ``task`` and return its framed result.

        ``check()`` is called repeatedly meanwhile and may raise. Raises WorkerExited if the
        process, which had been idle, exited before it took the task.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            view = memoryview(frame(task))
            while view:
                view = view[self._process.stdin.write(view) :]
        except BrokenPipeError:
            raise self._exited() from None
        received = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not _complete(received):
                check()
                if not selector.select(_POLL):
                    continue
                data = os.read(self._process.stdout.fileno(), 1 << 20)
                if not data and not received:
                    raise self._exited()
                if not data:
                    status = self._process.wait(_GRACE)
                    raise ToolboxError(f"a git worker died (status {status})")
                received += data
        self._has_worked = True
        return bytes(received[len(STARTED) :])

    def _exited(self) -> Exception:
        if self._has_worked:
            return WorkerExited()
        # Another one would end like this one.
        status = self._process.wait(_GRACE)
        return ToolboxError(f"a git worker can't start (status {status})")

    def end(self) -> None:
        """Terminate the process; on SIGTERM it removes its locks and temporary files."""
        process = self._process
        # A closed standard input ends an idle worker by itself.
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_GRACE)


def _complete(received: bytearray) -> bool:
    """Report whether a whole result was received: the mark, the length and the message."""
    data = bytes(received[len(STARTED) : len(STARTED) + 4])
    size = length(data)
    return size is not None and len(received) >= len(STARTED) + 4 + size
