"""Finding everything a job has started, and ending it for certain.

A process belongs to a job if it descends from the job's first process, shares a session with one
that belongs, or bears one of the job's marks.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import time
from collections.abc import Iterator
from collections.abc import Sequence

from toolbox_process.marks import Mark
from toolbox_process.marks import Marks
from toolbox_process.procfs import Process
from toolbox_process.procfs import all_processes
from toolbox_process.procfs import read_process

KILL_LIMIT = 5.0
"""Seconds after which what can't be killed (it waits in the kernel) is given up."""

POLL = 0.01
"""Seconds between looks at processes where the kernel gives no pidfds."""

_WATCHED = 128
"""Processes waited for at once; the others are found again by the next look."""


class Tree:
    """The processes of one or several jobs.

    ``leaders`` are the jobs' first processes, as far as they live. Without ``sessions`` it counts
    only who descends from a leader, not who shares its session. Every method raises OSError if it
    can't look.
    """

    def __init__(
        self, leaders: Sequence[Process], marks: Sequence[Mark], sessions: bool = True
    ) -> None:
        self._marks = Marks(marks)
        self._known = set(leaders)
        self._sessions = sessions

    def members(self) -> list[Process]:
        """The members alive now, the oldest first: a shell before what it waits for.

        A signal must reach them in that order. A shell whose child has died of it first may be done
        before its own comes, and its trap would not run.
        """
        own = os.getsid(0)
        alive = {each for each in all_processes() if each.pid != os.getpid()}
        members = {each for each in alive if (each.pid, each.started) in self._identities()}
        if self._marks:
            members |= {each for each in alive - members if self._marks.fit(each)}
        todo = set(members)
        while todo:
            pids = {each.pid for each in todo}
            sessions = {each.session for each in todo} - {own, 0} if self._sessions else set()
            todo = {
                each for each in alive - members if each.parent in pids or each.session in sessions
            }
            members |= todo
        self._known |= members
        return sorted(members, key=lambda each: (each.started, each.pid))

    def _identities(self) -> set[tuple[int, int]]:
        return {(each.pid, each.started) for each in self._known}

    def end(self, grace: float, signals: Sequence[int] = (signal.SIGTERM,)) -> list[Process]:
        """Send ``signals``, after ``grace`` seconds KILL, until nothing is left.

        Returns what is left nevertheless: it belongs to another user, or hangs in the kernel.
        """
        members = self.members()
        for sig in (*signals, signal.SIGCONT):  # A stopped process can't end itself.
            send(members, sig)
        kill_from = time.monotonic() + grace
        give_up = kill_from + KILL_LIMIT
        while members and (now := time.monotonic()) < give_up:
            if now < kill_from:
                wait_gone(members, kill_from)
            else:
                send(members, signal.SIGKILL)
                if self._sessions:  # A group may reach further than descent.
                    _kill_groups(members)
                wait_gone(members, min(give_up, now + 0.2))
            members = self.members()
        return members


@contextlib.contextmanager
def _handle(process: Process) -> Iterator[int | None]:
    """A pidfd of ``process``, None if there is none; never of another that got its pid."""
    try:
        fd = os.pidfd_open(process.pid)
    except OSError:
        yield None
        return
    try:
        mine = _is_alive(process)
    except OSError:  # That was the last descriptor.
        mine = False
    if not mine:
        os.close(fd)
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


def _is_alive(process: Process) -> bool:
    now = read_process(process.pid)
    return now is not None and now.started == process.started


def send(processes: Sequence[Process], sig: int) -> None:
    """Send ``sig`` to those that are alive and may be sent it. Raises OSError if it can't look."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            _send(process, sig)


def _send(process: Process, sig: int) -> None:
    with _handle(process) as fd:
        if fd is not None:
            try:
                signal.pidfd_send_signal(fd, sig)
                return
            except OSError as error:
                if error.errno not in (errno.ENOSYS, errno.EPERM):
                    raise
    # Old kernels, gVisor and seccomp filters know no pidfds, or there is no descriptor for one. A
    # pid could become another's between these two lines, but hardly ever does.
    if _is_alive(process):
        os.kill(process.pid, sig)


def _kill_groups(processes: Sequence[Process]) -> None:
    """Kill whole process groups: the kernel does so in one step, which no fork can outrun."""
    for process in processes:
        now = read_process(process.pid)
        if now == process and process.group not in (0, os.getpgid(0)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.group, signal.SIGKILL)


def wait_gone(processes: Sequence[Process], deadline: float) -> None:
    """Wait until the processes have ended, or ``deadline`` (monotonic) has come."""
    with contextlib.ExitStack() as stack:
        poll = select.poll()
        waiting, others = 0, []
        for process in processes[:_WATCHED]:
            fd = stack.enter_context(_handle(process))
            if fd is not None:
                poll.register(fd, select.POLLIN)
                waiting += 1
            elif _is_alive(process):
                others.append(process)
        while (waiting or others) and (left := deadline - time.monotonic()) > 0:
            for fd, _ in poll.poll((min(left, POLL) if others else left) * 1000 + 1):
                poll.unregister(fd)
                waiting -= 1
            others = [process for process in others if _is_alive(process)]
