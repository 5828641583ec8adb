"""Jobs: whatever runs, with its output and its end."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import uuid
from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from enum import StrEnum

from toolbox.loop import IN
from toolbox.loop import Loop
from toolbox_process.capture import Capture
from toolbox_process.followers import Followers
from toolbox_process.limits import Counts
from toolbox_process.limits import Limits
from toolbox_process.marks import Mark
from toolbox_process.procfs import Process
from toolbox_process.procfs import read_process
from toolbox_process.spool import Spool
from toolbox_process.writer import Writer

POLL = 0.01
"""Seconds between looks at a child where the kernel knows no pidfds."""

SIGNALLED = 128
"""Added to a signal's number, as shells do, for the exit code of what it has ended."""


class Kind(StrEnum):
    """What a job was started as."""

    EXECUTE = "execute"
    CODE = "code-run"
    SHELL = "session"
    COMMAND = "session-command"
    TERMINAL = "pty"
    INTERPRETER = "interpreter"
    JOB = "job"


class Reason(StrEnum):
    """Why a job has ended."""

    EXITED = "exited"
    SIGNAL = "signal"
    TIMEOUT = "timeout"
    OOM = "oom"
    PIDS_LIMIT = "pids-limit"
    CANCELLED = "cancelled"
    SPAWN_FAILED = "spawn-failed"
    DAEMON_RESTART = "daemon-restart"


KILLED = SIGNALLED + signal.SIGKILL


def judge(status: int, before: Counts, now: Counts) -> tuple[int, Reason]:
    """The exit code and the reason of an end, by the status (negative for a signal) and what the
    kernel has counted from the start to then.

    A shell passes on the status of what was killed below it, so that is looked at, too.
    """
    code = SIGNALLED - status if status < 0 else status
    if code == KILLED and now.oom > before.oom:
        return code, Reason.OOM
    if code and now.pids > before.pids:
        return code, Reason.PIDS_LIMIT
    return code, Reason.SIGNAL if status < 0 else Reason.EXITED


ENDED = threading.Event()
"""Set for good: many a job is kept after its end, and an event of its own takes a kilobyte."""
ENDED.set()


def new_id() -> str:
    """A new job's id."""
    return str(uuid.uuid4())


class Job:
    """One thing that runs. Its state changes on the loop only; any thread may look.

    ``exit_code`` and ``reason`` are None until it has ended *and* its output is complete.
    """

    def __init__(
        self,
        kind: Kind,
        label: str,
        spool: Spool,
        capture: Capture,
        loop: Loop,
        followers: Followers,
        job_id: str = "",
    ) -> None:
        self.loop = loop
        self.followers = followers
        self.id = job_id or new_id()
        self.kind = kind
        self.label = label
        self.spool = spool
        self.capture = capture
        self.started = datetime.now(UTC)
        self.ended: datetime | None = None
        self.exit_code: int | None = None
        self.reason: Reason | None = None
        self.stdin: Writer | None = None
        self.done = threading.Event()
        self._ended: list[Callable[[], object]] = []

    @property
    def pid(self) -> int | None:
        """The process to signal, None if there is none now."""
        return None

    @property
    def status(self) -> int:
        """The exit code of a job that has ended."""
        if self.exit_code is None:
            raise RuntimeError(f"job {self.id} has not ended")
        return self.exit_code

    def when_ended(self, callback: Callable[[], object]) -> None:
        """Call ``callback()`` on the loop at the end, at once if that has come. On the loop."""
        if self.done.is_set():
            callback()
        else:
            self._ended.append(callback)

    def follow(self, listener: Callable[[], object]) -> None:
        """Call ``listener()`` on the loop, now, after each output and at the end. *Any thread.*
        Raises TooManyFollowers.
        """
        self.followers.enter(listener)

        def begin() -> None:
            self.capture.listen(listener)
            listener()

        self.loop.call_soon(begin)

    def unfollow(self, listener: Callable[[], object]) -> None:
        """Undo :meth:`follow`. *Any thread.*"""
        self.followers.leave(listener)
        self.loop.call_soon(lambda: self.capture.unlisten(listener))

    def finish(self, exit_code: int, reason: Reason) -> None:
        """The output is complete and this is the end. On the loop, once."""
        if self.stdin is not None:
            self.stdin.abort()
        self.ended = datetime.now(UTC)
        self.exit_code = exit_code
        self.reason = reason
        self.done.set()
        self.done = ENDED
        callbacks, self._ended = self._ended, []
        for callback in callbacks:
            callback()
        self.capture.notify()


class ProcessJob(Job):
    """A job that is one child of this process, with whatever that starts."""

    process: subprocess.Popen[bytes]
    mark: Mark
    """What all its processes bear, from its start on."""

    def __init__(
        self,
        kind: Kind,
        label: str,
        spool: Spool,
        capture: Capture,
        loop: Loop,
        followers: Followers,
        limits: Limits,
        job_id: str = "",
    ) -> None:
        super().__init__(kind, label, spool, capture, loop, followers, job_id)
        self._limits = limits
        self._counts = Counts()
        self._pidfd = -1
        self._exiting: list[Callable[[], object]] = []
        self._lock = threading.Lock()
        self._ending: Reason | None = None
        self._exited = False

    @property
    def pid(self) -> int | None:
        return None if self._exited else self.process.pid

    @property
    def exited(self) -> bool:
        """Whether the process has ended; its output may not be complete yet."""
        return self._exited

    def take(self, process: subprocess.Popen[bytes]) -> None:
        """Take the child over. *Any thread*, once."""
        self.process = process
        self._counts = self._limits.counts()
        self.loop.call_soon(self._watch)

    def when_exited(self, callback: Callable[[], object]) -> None:
        """Call ``callback()`` on the loop when the process has ended, before its last output is
        read. Before :meth:`take`.
        """
        self._exiting.append(callback)

    def _watch(self) -> None:
        try:
            self._pidfd = os.pidfd_open(self.process.pid)
        except OSError:
            self._poll()
        else:
            self.loop.add(self._pidfd, IN, lambda events: self._exit())

    def _poll(self) -> None:
        if self.process.poll() is None:
            self.loop.call_later(POLL, self._poll)
        else:
            self._exit()

    def _exit(self) -> None:
        with self._lock:
            status = self.process.wait()
            self._exited = True
        if self._pidfd >= 0:
            self.loop.remove(self._pidfd)
            os.close(self._pidfd)
        for callback in self._exiting:
            callback()
        self.capture.drain(lambda: self.finish(*self._verdict(status)))

    def _verdict(self, status: int) -> tuple[int, Reason]:
        code, reason = judge(status, self._counts, self._limits.counts())
        return code, self._ending or reason

    def note_ending(self, reason: Reason) -> Process | None:
        """It is about to be ended for ``reason``: its process, None if that has ended by itself.
        Raises OSError if it can't be looked at. *Any thread.*
        """
        with self._lock:
            if self._exited:
                return None
            leader = read_process(self.process.pid)
            self._ending = self._ending or reason
            return leader

    def leader(self) -> Process | None:
        """Its process, None if that has ended. Raises OSError. *Any thread.*"""
        with self._lock:
            return None if self._exited else read_process(self.process.pid)

    def signal(self, sig: int) -> bool:
        """Send ``sig`` to the process; False if it has ended. *Any thread.*"""
        # The loop reaps under the same lock, so the pid can't be another's.
        with self._lock:
            if self._exited:
                return False
            self.process.send_signal(sig)
            return True
