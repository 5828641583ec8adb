"""Programs that an earlier worker has started, and whose exit status the master reports.

They became the master's children when that worker ended (it is a child subreaper, prctl(2)), so
only the master can wait for them. It tells the worker about each child that ends.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import OrderedDict
from contextlib import suppress

from toolbox.linux.procfs import read_process

EARLY = 4096
"""Ends remembered that came before anyone asked: some of them are of daemons, and never asked for.
"""


class AdoptedProcess:
    """A program, with the part of ``subprocess.Popen`` that launchers use. *Any thread.*"""

    def __init__(self, pid: int, started: int, status: int | None = None) -> None:
        self.pid = pid
        self.started = started
        """The time of its start, in clock ticks since boot."""
        self.returncode = status
        self.wait_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) if status is None else -1
        """A descriptor that is readable once the end is known, -1 if it was known before. It is
        the launcher's to close.
        """

    def poll(self) -> int | None:
        """Return the exit status as ``Popen.poll`` does, None until it is known."""
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended. Raises OSError."""
        # The master reaps it at any moment, so the pid may be another's.
        with suppress(ProcessLookupError):
            try:
                fd = os.pidfd_open(self.pid)
            except ProcessLookupError:
                return
            except OSError:  # Old kernels, gVisor and seccomp filters know no pidfds.
                if self._is_alive():
                    os.kill(self.pid, number)
                return
            try:
                if self._is_alive():
                    signal.pidfd_send_signal(fd, number)
            finally:
                os.close(fd)

    def _is_alive(self) -> bool:
        found = read_process(self.pid)
        return found is not None and found.started == self.started

    def end(self, status: int) -> None:
        """Note the end."""
        self.returncode = status
        os.eventfd_write(self.wait_fd, 1)


class AdoptedProcesses:
    """The programs, and the ends that the master has reported. *Any thread.*"""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[int, AdoptedProcess] = {}
        self._early: OrderedDict[tuple[int, int], int] | None = OrderedDict()

    def adopt(self, pid: int, started: int, status: int | None = None) -> AdoptedProcess:
        """Return a program; its end may have come already, with ``status`` before it was handed
        over. Raises OSError.
        """
        process = AdoptedProcess(pid, started, status)
        if process.returncode is not None:
            return process
        with self._lock:
            status = None if self._early is None else self._early.pop((pid, started), None)
            if status is None:
                self._running[pid] = process
            else:
                process.end(status)
        return process

    def settle(self) -> None:
        """Forget the ends of other processes, now and later: everything is adopted."""
        with self._lock:
            self._early = None

    def note_end(self, pid: int, started: int, status: int) -> None:
        """Note what the master has reported; ``status`` as of ``Popen.returncode``."""
        with self._lock:
            # By the time of the start, too: what had the pid before may be reported late.
            process = self._running.get(pid)
            if process is not None and process.started == started:
                del self._running[pid]
                process.end(status)
            elif self._early is not None:
                self._early[pid, started] = status
                if len(self._early) > EARLY:
                    self._early.popitem(last=False)


# A process has one, as it has one parent.
processes = AdoptedProcesses()
