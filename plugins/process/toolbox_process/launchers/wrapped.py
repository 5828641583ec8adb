"""A program in its own PID namespace, below a process that waits for it outside."""

from __future__ import annotations

import time
from signal import Signals

from toolbox.linux.procfs import Process
from toolbox.linux.procfs import children
from toolbox.linux.procfs import read_process
from toolbox_process.launchers.child import ChildStanding
from toolbox_process.launchers.child import LocalChild
from toolbox_process.launchers.child import Reaped
from toolbox_process.launchers.host import Host
from toolbox_process.launchers.terminal import PtyDevice
from toolbox_process.linux.marks import Mark
from toolbox_process.linux.tree import signal_all

START = 2.0
"""Seconds that a signal waits for the program to be there: bwrap prepares its mounts before."""

LOOK = 0.002

_SIGNALS = {128 + number for number in Signals}


class WrappedChild(LocalChild):
    """A program that bwrap runs.

    Our child waits outside, ``init`` is the first process of the namespace and reaps there, and its
    first child is the program.

    An end by a signal arrives as an exit code over 128, as from a shell, and is taken for one.
    """

    def __init__(
        self,
        host: Host,
        process: Reaped,
        mark: Mark,
        device: PtyDevice | None,
        init: int,
    ) -> None:
        self._init = init
        self._program: Process | None = None
        super().__init__(host, process, mark, device)

    def standing(self) -> ChildStanding:
        return super().standing()._replace(init=self._init)

    @property
    def pid(self) -> int:
        program = self._find_program()
        return program.pid if program else self.process.pid

    def _find_program(self) -> Process | None:
        if self._program is None and self._init:
            pids = children(self._init)
            found = [process for pid in pids if (process := read_process(pid))]
            # Orphans that init has adopted are younger.
            self._program = min(found, key=lambda each: (each.started, each.pid), default=None)
        return self._program

    def leader(self) -> Process | None:
        deadline = time.monotonic() + START
        while self.process.poll() is None:
            if program := self._find_program():
                now = read_process(program.pid)
                # By the time of its start: that it has been reaped is known in the namespace only.
                return now if now and now.started == program.started else None
            if not self._init or time.monotonic() > deadline:
                return read_process(self.process.pid)
            time.sleep(LOOK)
        return None

    def supervisors(self) -> frozenset[int]:
        return frozenset({self.process.pid, self._init})

    def poll(self) -> int | None:
        status = super().poll()
        return 128 - status if status in _SIGNALS else status

    def signal(self, number: int) -> bool:
        leader = self.host.spare.look(self.leader)
        if leader is None:
            return False
        self.host.spare.look(lambda: signal_all([leader], number))
        return True
