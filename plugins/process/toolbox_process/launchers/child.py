"""A child of this process, with everything it starts, as ``/proc`` shows it."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping
from collections.abc import Sequence
from operator import add
from pathlib import Path
from signal import SIGCHLD
from signal import SIGINT
from typing import NamedTuple

from toolbox.handover.adopted import AdoptedProcess
from toolbox.linux.procfs import Process
from toolbox.linux.procfs import catches
from toolbox.linux.procfs import children
from toolbox.linux.procfs import moment
from toolbox.linux.procfs import read_process
from toolbox.processes import ChildProcess
from toolbox_process.engine.launcher import Child
from toolbox_process.engine.launcher import Counts
from toolbox_process.engine.launcher import Nothing
from toolbox_process.engine.launcher import Started
from toolbox_process.engine.launcher import TerminalSize
from toolbox_process.launchers.host import Host
from toolbox_process.launchers.terminal import PtyDevice
from toolbox_process.linux.bounds import Bounds
from toolbox_process.linux.marks import Mark
from toolbox_process.linux.tree import Tree
from toolbox_process.linux.tree import signal_all

Reaped = ChildProcess | subprocess.Popen[bytes] | AdoptedProcess
"""A program that this process reaps, or the master for it."""


class Snapshot(NamedTuple):
    """The children of a shell and the time, by :func:`toolbox.linux.procfs.moment`."""

    children: frozenset[int]
    since: tuple[int, int]


class ChildStanding(NamedTuple):
    """A program, for another worker to go on with; ``device`` is that of its terminal."""

    status: int | None
    device: PtyDevice | None
    groups: Mapping[str, Path]
    init: int = 0
    """The first process of its namespace, 0 for none."""


class StartedProcesses(Started):
    """Processes that were found."""

    def __init__(self, host: Host, processes: Sequence[Process]) -> None:
        self._host = host
        self._processes = processes

    def __bool__(self) -> bool:
        return bool(self._processes)

    def signal(self, number: int) -> None:
        self._host.spare.look(lambda: signal_all(self._processes, number))

    def end(self, grace: float) -> list[int]:
        # Not by session: they share the shell's with what must live on.
        tree = Tree(self._processes, [], sessions=False)
        return [process.pid for process in self._host.spare.look(lambda: tree.end(grace))]


class LocalChild(Child):
    """A process that this one has started, and reaps."""

    def __init__(
        self,
        host: Host,
        process: Reaped,
        mark: Mark,
        device: PtyDevice | None = None,
    ) -> None:
        self.mark = mark
        self.host = host
        self.process = process
        self.terminal = -1 if device is None else device.fd
        self.wait_fd = getattr(process, "wait_fd", -1)
        if not isinstance(process, AdoptedProcess):
            self._open_wait_fd()
        self._device = device
        self._bounds: Bounds | None = None
        self._lock = threading.Lock()
        if process.returncode is None:
            host.enter(self)

    def _open_wait_fd(self) -> None:
        try:
            self.wait_fd = os.pidfd_open(self.process.pid)
        except OSError:  # Old kernels, gVisor and seccomp filters know no pidfds.
            pass

    def bind(self, bounds: Bounds) -> None:
        """Note the limits that the program was started with. Once."""
        self._bounds = bounds
        self.applied = bounds.applied

    def standing(self) -> ChildStanding:
        """Return what another worker goes on with. Nothing is polled: what has just ended is for
        the master to reap.
        """
        device = self._device
        groups = self._bounds.group.directories if self._bounds is not None else {}
        gone = device is None or device.closed
        return ChildStanding(self.process.returncode, None if gone else device, groups)

    @property
    def pid(self) -> int:
        return self.process.pid

    def poll(self) -> int | None:
        with self._lock:
            status = self.process.poll()
        if status is not None:
            self.host.leave(self)
            if self._device is not None:
                self._device.release_slave()
        return status

    def leader(self) -> Process | None:
        """Return the program's process, or None if that has ended. Raises OSError."""
        # It is reaped under the same lock, so the pid can't be another's.
        with self._lock:
            return None if self.process.returncode is not None else self._read_leader()

    def _read_leader(self) -> Process | None:
        found = read_process(self.pid)
        # What was handed over is reaped by the master at any moment.
        if found and isinstance(self.process, AdoptedProcess):
            return found if found.started == self.process.started else None
        return found

    def supervisors(self) -> frozenset[int]:
        """Return the pids of processes that end with the program and would hide its end if they
        were signaled before.
        """
        return frozenset()

    def signal(self, number: int) -> bool:
        with self._lock:
            if self.process.poll() is not None:
                return False
            self.process.send_signal(number)
            return True

    def signal_tree(self, number: int) -> bool:
        leader = self.host.spare.look(self.leader)
        if leader is None:
            return self.signal(number)
        members = self.host.spare.look(self.tree(leader).members)
        members = [member for member in members if member.pid not in self.supervisors()]
        self.host.spare.look(lambda: signal_all(members, number))
        return True

    def tree(self, leader: Process | None, also: Sequence[Child] = ()) -> Tree:
        """Return the tree of everything it has started, and of what the children ``also`` have."""
        marks = [child.mark for child in also if isinstance(child, LocalChild)]
        leaders = [leader] if leader else []
        return Tree(leaders, [self.host.full_mark(self), *marks], spared=self.supervisors())

    def end_tree(
        self, grace: float, signals: Sequence[int], also: Sequence[Child] = ()
    ) -> list[int]:
        def end() -> list[Process]:
            return self.tree(self.leader(), also).end(grace, signals)

        return [process.pid for process in self.host.spare.look(end)]

    def left(self) -> bool:
        return bool(self.host.spare.look(lambda: self.tree(self.leader()).members()))

    def resize(self, size: TerminalSize) -> None:
        with self._lock:
            if self._device is not None:
                self._device.resize(size)

    def counts(self) -> Counts:
        counts = self.host.limits.counts()
        # The service's group may count what happens in those below it, or not.
        return counts if self._bounds is None else Counts(*map(add, counts, self._bounds.counts()))

    def close(self) -> None:
        with self._lock:
            if self._device is not None:
                self._device.close()
        if self.wait_fd >= 0:
            os.close(self.wait_fd)
            self.wait_fd = -1
        if self._bounds is not None:
            self._bounds.close()

    # A session's shell

    def directory(self) -> str | None:
        return str(Path(f"/proc/{self.pid}/cwd").readlink())

    def snapshot(self) -> Snapshot:
        return Snapshot(children(self.pid), moment())

    def started_since(self, snapshot: object, tree: bool) -> Started:
        if not isinstance(snapshot, Snapshot):
            return Nothing()

        def find() -> list[Process]:
            if self.leader() is None:
                return []
            new = children(self.pid) - snapshot.children
            found = [process for pid in new if (process := read_process(pid))]
            return Tree(found, [], sessions=False).members() if tree and found else found

        return StartedProcesses(self.host, self.host.spare.look(find))

    def left_since(self, snapshot: object) -> Started:
        if not isinstance(snapshot, Snapshot):
            return Nothing()
        return StartedProcesses(self.host, self.host.spare.look(lambda: self._left(snapshot)))

    def _left(self, snapshot: Snapshot) -> list[Process]:
        leader = self.leader()
        if leader is None:
            return []
        found: dict[int, bool] = {}
        members = self.tree(leader).members()
        for member in members:  # The oldest first: parents before their children.
            if member.parent == leader.pid:
                found[member.pid] = member.pid not in snapshot.children
            else:
                # What has got away has another parent; it counts by the time of its start.
                new = (member.started, member.pid) > snapshot.since
                found[member.pid] = found.get(member.parent, new)
        return [member for member in members if member.pid != leader.pid and found[member.pid]]

    def catches(self, number: int) -> bool:
        # A shell has its own handlers for these two, whether or not there is a trap.
        own = number in (SIGINT, SIGCHLD)
        return not own and self.host.spare.look(lambda: catches(self.pid, number))
