"""The state that the children of a launcher on this machine share."""

from __future__ import annotations

import io
import os
import threading
from typing import Protocol

from toolbox_process.engine.launcher import Pipes
from toolbox_process.linux.cores import Cores
from toolbox_process.linux.groups import JobGroups
from toolbox_process.linux.limits import Limits
from toolbox_process.linux.marks import Mark
from toolbox_process.linux.marks import new_mark
from toolbox_process.linux.spare import Spare


class Marked(Protocol):
    """A child that runs, by the mark of its processes."""

    mark: Mark


class Host:
    """The kernel's counters, spare descriptors, and the marks that are in use. *Any thread.*"""

    def __init__(self) -> None:
        self.limits = Limits()
        self.cores = Cores()
        self.groups = JobGroups()
        self.spare = Spare()
        self._null = io.FileIO(os.devnull, "r+")
        self.null = self._null.fileno()
        """The streams of programs that have none: opened once and not for each."""
        self.nothing = Pipes(None, self.null, self.null)
        self._lock = threading.Lock()
        self._running: set[Marked] = set()

    def new_mark(self, job_id: str) -> Mark:
        """Return the mark for a job that starts now."""
        with self._lock:
            taken = [child.mark.tag for child in self._running]
        return new_mark(job_id, taken)

    def enter(self, child: Marked) -> None:
        """Note that ``child`` runs."""
        with self._lock:
            self._running.add(child)

    def leave(self, child: Marked) -> None:
        """Note that ``child`` has ended."""
        with self._lock:
            self._running.discard(child)

    def full_mark(self, child: Marked) -> Mark:
        """Return the mark of ``child``, which knows whether another that runs has its tag."""
        with self._lock:
            others = {other.mark.tag for other in self._running if other is not child}
        return child.mark._replace(alone=child.mark.tag not in others)

    def close(self) -> None:
        """Close the files."""
        self.limits.close()
        self.groups.close()
        self.spare.close()
        self._null.close()
