"""Jobs: running programs, with their output and their end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from toolbox.sockets.loop import IN
from toolbox.sockets.loop import Loop
from toolbox_process.engine.end_event import EndEvent
from toolbox_process.engine.ends import Reason
from toolbox_process.engine.ends import classify_exit
from toolbox_process.engine.followers import FollowerLimit
from toolbox_process.engine.launcher import Child
from toolbox_process.engine.launcher import Counts
from toolbox_process.engine.launcher import TerminalSize
from toolbox_process.engine.pipe_reader import PipeReader
from toolbox_process.engine.spool import Spool
from toolbox_process.engine.stdin_writer import StdinWriter
from toolbox_process.engine.views.view import TerminalView
from toolbox_process.models import Limits

POLL = 0.01
"""Seconds between looks at a child that has no descriptor to wait with."""


class Kind(StrEnum):
    """The operation that started a job."""

    EXECUTE = "execute"
    CODE = "code-run"
    SHELL = "session"
    COMMAND = "session-command"
    TERMINAL = "pty"
    INTERPRETER = "interpreter"
    JOB = "job"
    SERVICE = "service"


WORK = frozenset({Kind.EXECUTE, Kind.CODE, Kind.COMMAND, Kind.JOB})
"""Kinds of jobs that run something for a client as long as they run. The others are shells and
interpreters, which may only wait for input.
"""


class JobParts(NamedTuple):
    """The parts of a job. The engine makes them (:meth:`Engine.outfit`)."""

    kind: Kind
    label: str
    id: str
    loop: Loop
    spool: Spool
    reader: PipeReader
    followers: FollowerLimit


class Job:
    """One thing that runs. Its state changes on its loop only, which for a command's first moments
    is a :class:`toolbox.sockets.brief_loop.BriefLoop`; any thread may look.

    ``exit_code`` and ``reason`` are None until it has ended *and* its output is complete.
    """

    def __init__(self, parts: JobParts) -> None:
        self.loop = parts.loop
        self.followers = parts.followers
        self.id = parts.id
        self.kind = parts.kind
        self.label = parts.label
        self.spool = parts.spool
        self.reader = parts.reader
        self.started = datetime.now(UTC)
        self.ended: datetime | None = None
        self.exit_code: int | None = None
        self.reason: Reason | None = None
        self.stdin: StdinWriter | None = None
        self.view: TerminalView | None = None
        """The screen of a job on a terminal."""
        self.due: float | None = None
        """The time of :func:`toolbox.linux.clock.awake` at which its time limit is over."""
        self.done = EndEvent()
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
            self.reader.listen(listener)
            listener()

        self.loop.call_soon(begin)

    def unfollow(self, listener: Callable[[], object]) -> None:
        """Undo :meth:`follow`. *Any thread.*"""
        self.followers.leave(listener)
        self.loop.call_soon(lambda: self.reader.unlisten(listener))

    def finish(self, exit_code: int, reason: Reason) -> None:
        """Set the end, once the output is complete. On the loop, once."""
        if self.stdin is not None:
            self.stdin.abort()
        self.ended = datetime.now(UTC)
        self.exit_code = exit_code
        self.reason = reason
        self.done.set()
        callbacks, self._ended = self._ended, []
        for callback in callbacks:
            callback()
        self.reader.notify()


class JobStanding(NamedTuple):
    """The program of a job, for another one to go on with. ``ending`` is the reason of an end that
    somebody has begun to make.
    """

    child: Child
    counts: Counts
    ending: Reason | None


class ProcessJob(Job):
    """A job that is one program, with everything that starts. It waits until :meth:`run`."""

    def __init__(self, parts: JobParts) -> None:
        super().__init__(parts)
        self.limits: Limits | None = None
        self._child: Child | None = None
        self._counts = Counts()
        self._lock = threading.Lock()
        self._ending: Reason | None = None
        self._exited = False

    @property
    def child(self) -> Child:
        """The program, once there is one."""
        if self._child is None:
            raise RuntimeError(f"job {self.id} has not been started")
        return self._child

    @property
    def pid(self) -> int | None:
        return self.child.pid if self.running else None

    @property
    def running(self) -> bool:
        """True from the start of the program until its end."""
        return self._child is not None and not self._exited

    @property
    def exited(self) -> bool:
        """True once the program has ended; its output may not be complete yet."""
        return self._exited

    def run(self, child: Child) -> None:
        """Watch over ``child`` from now on. *Any thread*, once."""
        self._counts = child.counts()
        self._child = child
        if child.wait_fd >= 0 and child.terminal < 0:
            self._watch()  # Waking the loop for it takes 50 us.
        else:
            self.loop.call_soon(self._watch)

    def let_go(self) -> JobStanding | None:
        """Watch the program no more, and return it; None if there is none. On the loop.

        What has just ended and was not yet seen stays a zombie until the master reaps it.
        """
        if self._child is None:
            return None
        if self._child.wait_fd >= 0:
            self.loop.remove(self._child.wait_fd)
        return JobStanding(self._child, self._counts, self._ending)

    def resume(self, standing: JobStanding, exited: bool) -> None:
        """Take over a program; :meth:`go_on` follows, once all that reads its output is there."""
        self._child, self._counts, self._ending = standing
        self._exited = exited

    def go_on(self) -> Reason | None:
        """Wait for the end of what was taken over, or go on with what follows it. On the loop.
        Returns the reason of an end that is still to be made.
        """
        if self._exited:
            self._exit(self.child.poll() or 0)
            return None
        self._watch()
        return self._ending

    def _watch(self) -> None:
        if self.child.wait_fd >= 0:
            self.loop.add(self.child.wait_fd, IN, lambda events: self._look())
        else:
            self._look()

    def _look(self) -> None:
        # With the lock: whoever gives a reason for the end does so before it, or not at all.
        with self._lock:
            status = self.child.poll()
            self._exited = status is not None
        if status is not None:
            self._exit(status)
        elif self.child.wait_fd < 0:
            self.loop.call_later(POLL, self._look)

    def _exit(self, status: int) -> None:
        if self.child.wait_fd >= 0:
            self.loop.remove(self.child.wait_fd)
        self.reader.drain(lambda: self.finish(*self._verdict(status)))

    def _verdict(self, status: int) -> tuple[int, Reason]:
        # Of an end without an error there is nothing to explain.
        now = self.child.counts() if status else self._counts
        code, reason = classify_exit(status, self._counts, now)
        return code, self._ending or reason

    def finish(self, exit_code: int, reason: Reason) -> None:
        super().finish(exit_code, reason)
        self.hang_up()

    def hang_up(self) -> None:
        """Release the child, which has ended. On the loop."""
        if self.child.terminal >= 0:
            # What still holds the other side is hung up on, as when a window is closed.
            self.reader.close()
        self.child.close()

    def note_ending(self, reason: Reason) -> None:
        """Take ``reason`` for that of an end that has not come yet. *Any thread.*"""
        with self._lock:
            if not self._exited:
                self._ending = self._ending or reason

    def resize_terminal(self, size: TerminalSize) -> None:
        """Change the size of its terminal. *Any thread.*"""
        if self.view is not None:
            self.view.resized(size)
        self.child.resize(size)

    def signal(self, number: int) -> bool:
        """Send a signal to the program; return False if it has ended. *Any thread.*"""
        return self.child.signal(number)
