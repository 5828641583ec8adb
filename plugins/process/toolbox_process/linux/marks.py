"""The marks by which the processes of a job are known, however they have tried to get away.

A daemon that has left its parent and its session behind still has the environment it was started
with; one that has cleared that, too, still has the number it was born with, see
:func:`toolbox.processes.popen`. ``su`` and the like let PAM set new limits, and the number is gone.
What is left then is a score that few jobs have at once, so it counts only for orphans that
are younger than the job and bear nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from collections.abc import Iterable
from typing import NamedTuple

from toolbox.linux.procfs import GONE
from toolbox.linux.procfs import HIDDEN
from toolbox.linux.procfs import Process
from toolbox.linux.procfs import now
from toolbox.linux.procfs import read
from toolbox.processes import TAGS
from toolbox.processes import read_number
from toolbox.processes import read_tag

_NUMBERS = 1 << 50

VARIABLE = "TOOLBOX_JOB"
"""The environment variable that holds the job's id."""


class Mark(NamedTuple):
    """The mark of a job. ``since`` is its start in clock ticks; with ``alone`` no other job
    that runs has the same tag.
    """

    job_id: str
    number: int = 0
    since: int = 0
    alone: bool = False

    @property
    def tag(self) -> int:
        """The part of the number that the OOM scores of its processes show."""
        return self.number % TAGS


def new_mark(job_id: str, taken: Collection[int]) -> Mark:
    """Return a mark for a job that starts now, with a tag not in ``taken`` if one is left."""
    # By chance: services know nothing of each other.
    chance = int.from_bytes(os.urandom(8))
    tag = (chance >> 50) % TAGS
    if tag in taken:
        tags = [tag for tag in range(TAGS) if tag not in taken] or range(TAGS)
        tag = tags[tag % len(tags)]
    return Mark(job_id, (chance % _NUMBERS + 1) * TAGS + tag, now())


def read_mark(pid: int) -> str:
    """Return the id of the job that started the process, empty if none did or it is unreadable."""
    try:
        environ = b"\0" + read(f"/proc/{pid}/environ")
    except OSError as error:
        if error.errno in GONE | HIDDEN:
            return ""
        raise
    _, found, rest = environ.partition(b"\0" + VARIABLE.encode() + b"=")
    return rest.partition(b"\0")[0].decode("ascii", "replace") if found else ""


class Marks:
    """The marks of one or several jobs."""

    def __init__(self, marks: Iterable[Mark]) -> None:
        self._marks = list(marks)
        self._ids = {mark.job_id for mark in self._marks}
        self._numbers = {mark.number for mark in self._marks} - {0}
        self._above = {1, os.getppid()}

    def __bool__(self) -> bool:
        return bool(self._marks)

    def fit(self, process: Process) -> bool:
        """Report whether the process bears one of them. Raises OSError."""
        found = read_mark(process.pid)
        if found in self._ids:
            return True
        try:
            number = read_number(process.pid)
            if number or found:
                return number in self._numbers
            return process.parent in self._above and self._fit_orphan(process)
        except OSError as error:
            if error.errno in GONE | HIDDEN:
                return False
            raise

    def _fit_orphan(self, process: Process) -> bool:
        possible = [mark for mark in self._marks if mark.alone and process.started >= mark.since]
        return bool(possible) and read_tag(process.pid) in {mark.tag for mark in possible}
