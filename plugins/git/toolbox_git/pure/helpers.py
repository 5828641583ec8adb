"""Helper processes, in which dulwich works.

It computes for seconds in Python, which would stall every other request of the service; it may
hang on a silent peer, which only ending a process is sure to stop; and it takes memory that is
given back when the process ends. Helpers are kept for a while, since starting one takes longer
than most operations.
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
from functools import partial

from toolbox.clock import awake
from toolbox.errors import RequestTimeout
from toolbox.errors import ToolboxError
from toolbox.errors import Unavailable
from toolbox.processes import popen
from toolbox_git.backend import Gone
from toolbox_git.errors import TransportFailed
from toolbox_git.inheritance import clean_environment
from toolbox_git.pure.messages import STARTED
from toolbox_git.pure.messages import Task
from toolbox_git.pure.messages import error_named
from toolbox_git.pure.messages import frame
from toolbox_git.pure.messages import length
from toolbox_git.pure.messages import unframe
from toolbox_git.silence import Silence

MAX_HELPERS = 8
KEPT = 2
_POLL = 0.25
_GRACE = 5.0

log = logging.getLogger("toolbox")


class HelperEnded(Exception):
    """The helper ended before it took the task."""


class Helpers:
    """Gives each task to a helper of its own, at most :data:`MAX_HELPERS` at a time."""

    def __init__(self) -> None:
        self._places = threading.BoundedSemaphore(MAX_HELPERS)
        self._lock = threading.Lock()
        self._idle: list[Helper] = []
        self._busy: set[Helper] = set()
        self._closed = False

    def run(
        self, task: Task, timeout: float, *, network: bool = False, gone: Gone | None = None
    ) -> bytes:
        """Have a task done; the MessagePack of what it answered, or the error it raised.

        Raises RequestTimeout, TransportFailed or Unavailable as for a git process.
        """
        deadline = awake() + timeout
        with self._places:
            while True:
                helper = self._take()
                try:
                    silence = helper.silence(task.stall_timeout) if network else None
                    data = helper.run(task, partial(self._check, deadline, silence, gone))
                except HelperEnded:
                    helper.end()
                    self._drop(helper)
                    continue
                except BaseException:
                    helper.end()
                    self._drop(helper)
                    raise
                self._give_back(helper)
                break
        answer = unframe(data)
        if answer.detail:
            log.error("git: a helper failed: %s", answer.detail)
        if answer.error:
            raise error_named(answer.error, answer.message)
        return bytes(answer.result)

    def close(self) -> None:
        """End every helper; tasks that are not done fail."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for helper in idle:
            helper.end()

    def _check(self, deadline: float, silence: Silence | None, gone: Gone | None) -> None:
        if self._closed:
            raise Unavailable("the service is stopping")
        if awake() > deadline:
            message = "timeout: the operation took too long and was ended"
            raise TransportFailed(message) if silence else RequestTimeout(message)
        if gone is not None and gone():
            raise RequestTimeout("the client has gone; the operation was ended")
        if silence is not None:
            silence.check()

    def _take(self) -> Helper:
        with self._lock:
            helper = self._idle.pop() if self._idle else None
        helper = helper or Helper()
        with self._lock:
            self._busy.add(helper)
        return helper

    def _drop(self, helper: Helper) -> None:
        with self._lock:
            self._busy.discard(helper)

    def _give_back(self, helper: Helper) -> None:
        with self._lock:
            self._busy.discard(helper)
            ended = [each for each in self._idle if each.has_ended()]
            self._idle = [each for each in self._idle if each not in ended]
            keep = len(self._idle) < KEPT and not self._closed
            if keep:
                self._idle.append(helper)
        for each in ended if keep else [*ended, helper]:
            each.end()


class Helper:
    """One process."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] = popen(
            [sys.executable, "-m", "toolbox_git.pure.helper"],
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )

    def has_ended(self) -> bool:
        """Whether it has ended by itself, having been idle for long."""
        return self._process.poll() is not None

    def silence(self, patience: float) -> Silence:
        """What watches over a remote that it talks to."""
        return Silence(self._process.pid, patience)

    def run(self, task: Task, check: object) -> bytes:
        """Have it do ``task``; its answer. ``check()`` is called while it works and may raise.

        Raises HelperEnded if it ended before it took the task.
        """
        assert callable(check)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            view = memoryview(frame(task))
            while view:
                view = view[self._process.stdin.write(view) :]
        except BrokenPipeError:
            raise HelperEnded from None
        received = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not _complete(received):
                check()
                if not selector.select(_POLL):
                    continue
                data = os.read(self._process.stdout.fileno(), 1 << 20)
                if not data and not received:
                    raise HelperEnded
                if not data:
                    raise ToolboxError(f"a git helper died (status {self._process.wait(_GRACE)})")
                received += data
        return bytes(received[len(STARTED) :])

    def end(self) -> None:
        """End it; at TERM it removes its locks and temporary files."""
        process = self._process
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
    """Whether a whole answer has come: the mark, the length and what follows."""
    data = bytes(received[len(STARTED) : len(STARTED) + 4])
    size = length(data)
    return size is not None and len(received) >= len(STARTED) + 4 + size
