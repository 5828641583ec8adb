"""Process trees: finding everything a job has started, and ending it for certain.

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

from toolbox.linux.procfs import Process
from toolbox.linux.procfs import all_processes
from toolbox.linux.procfs import read_process
from toolbox_process.linux.marks import Mark
from toolbox_process.linux.marks import Marks

KILL_LIMIT = 5.0
"""Seconds to wait for a killed process, which may hang in the kernel."""

POLL = 0.01
"""Seconds between looks at processes where the kernel gives no pidfds."""

_WATCHED = 128
"""Maximum processes waited for at once; the next look finds the others again."""


class Tree:
    """The processes of one or several jobs.

    ``leaders`` are the jobs' first processes that are alive. Without ``sessions`` only what
    descends from a leader counts, not what shares its session. Processes with the pids ``spared``
    get no other signal than KILL. Every method raises OSError if it can't look.
    """

    def __init__(
        self,
        leaders: Sequence[Process],
        marks: Sequence[Mark],
        sessions: bool = True,
        spared: frozenset[int] = frozenset(),
    ) -> None:
        self._marks = Marks(marks)
        self._known = set(leaders)
        self._sessions = sessions
        self._spared = spared

    def members(self) -> list[Process]:
        """Return the members alive now, the oldest first: a shell before what it waits for.

        A signal must reach them in that order. A shell whose child has died of it first may be done
        before its own comes, and its trap would not run.
        """
        own = os.getsid(0)
        alive = {process for process in all_processes() if process.pid != os.getpid()}
        members = {
            process for process in alive if (process.pid, process.started) in self._identities()
        }
        if self._marks:
            members |= {process for process in alive - members if self._marks.fit(process)}
        todo = set(members)
        while todo:
            pids = {process.pid for process in todo}
            sessions = {process.session for process in todo} - {own, 0} if self._sessions else set()
            todo = {
                process
                for process in alive - members
                if process.parent in pids or process.session in sessions
            }
            members |= todo
        self._known |= members
        return sorted(members, key=lambda process: (process.started, process.pid))

    def _identities(self) -> set[tuple[int, int]]:
        return {(process.pid, process.started) for process in self._known}

    def end(self, grace: float, signals: Sequence[int] = (signal.SIGTERM,)) -> list[Process]:
        """Send ``signals``, and after ``grace`` seconds KILL until nothing is left.

        Return what is left nevertheless: it belongs to another user, or hangs in the kernel.
        """
        members = self.members()
        signaled = [member for member in members if member.pid not in self._spared]
        for sig in (*signals, signal.SIGCONT):  # A stopped process can't end itself.
            signal_all(signaled, sig)
        kill_from = time.monotonic() + grace
        give_up = kill_from + KILL_LIMIT
        while members and (now := time.monotonic()) < give_up:
            if now < kill_from:
                wait_for_exit(members, kill_from)
            else:
                signal_all(members, signal.SIGKILL)
                if self._sessions:  # A group may reach further than descent.
                    _kill_groups(members)
                wait_for_exit(members, min(give_up, now + 0.2))
            members = self.members()
        return members


@contextlib.contextmanager
def _handle(process: Process) -> Iterator[int | None]:
    """Yield a pidfd of ``process``, or None; never one of another process that got its pid."""
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


def signal_all(processes: Sequence[Process], sig: int) -> None:
    """Send ``sig`` to those that are alive and may be signaled. Raises OSError if it can't look."""
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


def wait_for_exit(processes: Sequence[Process], deadline: float) -> None:
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
