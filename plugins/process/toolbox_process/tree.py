"""Finding everything a job has started, and ending it for certain.

A process belongs to a job if it descends from the job's first process, shares a session with one
that belongs, or carries the job's mark in its environment: a daemon that has left its parent and
its session behind still has the environment it was started with (environ in proc(5)).
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator
from collections.abc import Sequence
from typing import NamedTuple

MARK = "TOOLBOX_JOB"
"""The environment variable that holds the job's id."""

KILL_LIMIT = 5.0
"""Seconds after which what can't be killed (it waits in the kernel) is given up."""

_WATCHED = 128
"""Processes waited for at once; the others are found again by the next look."""


class Process(NamedTuple):
    """One process as ``/proc`` shows it. ``started``, in clock ticks, tells it from another that
    has its pid later.
    """

    pid: int
    parent: int
    group: int
    session: int
    started: int


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a thousand of them in a row
        return file.read() or b""


def read_process(pid: int) -> Process | None:
    """The process, or None if it has ended, were it only to be reaped."""
    try:
        stat = _read(f"/proc/{pid}/stat")
    except OSError:
        return None
    # The name, in parentheses, may hold anything; what follows the last one doesn't.
    fields = stat.rpartition(b")")[2].split()
    if len(fields) < 20 or fields[0] in (b"Z", b"X"):
        return None
    return Process(pid, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def all_processes() -> Iterator[Process]:
    """Every live process."""
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit() and (process := read_process(int(entry.name))):
                yield process


def children(pid: int) -> frozenset[int]:
    """The pids of the children of a process without threads."""
    try:
        # Quick, but not there on every kernel (CONFIG_PROC_CHILDREN).
        return frozenset(map(int, _read(f"/proc/{pid}/task/{pid}/children").split()))
    except OSError:
        return frozenset(each.pid for each in all_processes() if each.parent == pid)


def read_mark(pid: int) -> str:
    """The id of the job that started the process, empty if none did or it may not be read."""
    try:
        environ = b"\0" + _read(f"/proc/{pid}/environ")
    except OSError:
        return ""
    _, found, rest = environ.partition(b"\0" + MARK.encode() + b"=")
    return rest.partition(b"\0")[0].decode("ascii", "replace") if found else ""


class Tree:
    """The processes of one or several jobs.

    ``leaders`` are the jobs' first processes, as far as they live; ``marks`` are job ids. Without
    ``sessions`` it counts only who descends from a leader, not who shares its session.
    """

    def __init__(
        self, leaders: Sequence[Process], marks: Sequence[str], sessions: bool = True
    ) -> None:
        self._marks = frozenset(marks)
        self._known = set(leaders)
        self._sessions = sessions

    def members(self) -> list[Process]:
        """The members alive now, the oldest first: a shell before what it waits for.

        A signal must reach them in that order. A shell whose child has died of it first may be done
        before its own comes, and its trap would not run.
        """
        processes = list(all_processes())
        own = os.getsid(0)
        alive = set(processes)
        members = {each for each in alive if (each.pid, each.started) in self._identities()}
        if self._marks:
            members |= {each for each in alive - members if read_mark(each.pid) in self._marks}
        todo = set(members)
        while todo:
            pids = {each.pid for each in todo}
            sessions = {each.session for each in todo} - {own, 0} if self._sessions else set()
            todo = {
                each for each in alive - members if each.parent in pids or each.session in sessions
            }
            members |= todo
        members = {each for each in members if each.pid != os.getpid()}
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
    """A pidfd of ``process``, None if it has ended; never of another that got its pid."""
    try:
        fd = os.pidfd_open(process.pid)
    except OSError:
        yield None
        return
    try:
        now = read_process(process.pid)
        yield fd if now is not None and now.started == process.started else None
    finally:
        os.close(fd)


def send(processes: Sequence[Process], sig: int) -> None:
    """Send ``sig`` to those that are alive."""
    for process in processes:
        with _handle(process) as fd:
            if fd is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    signal.pidfd_send_signal(fd, sig)


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
        waiting = 0
        for process in processes[:_WATCHED]:
            fd = stack.enter_context(_handle(process))
            if fd is not None:
                poll.register(fd, select.POLLIN)
                waiting += 1
        while waiting and (left := deadline - time.monotonic()) > 0:
            for fd, _ in poll.poll(left * 1000 + 1):
                poll.unregister(fd)
                waiting -= 1
