"""Jobs that have ended, kept for a while so that they can be looked up."""

from __future__ import annotations

import operator
import resource
import threading
from collections import OrderedDict
from typing import NamedTuple

from toolbox.clock import awake
from toolbox.loop import Loop
from toolbox_process.job import Job
from toolbox_process.job import Kind
from toolbox_process.settings import LocalSettings
from toolbox_process.spool import Size

LOOK_AGAIN = 3600.0
"""Seconds between looks for jobs that are too old, at most."""

MEMORY = 128 * 1024 * 1024
"""Bytes of their output that stay in memory."""

DESCRIPTORS = 0.25
"""The part of the descriptors the service may have that is for files of their output."""


class _Ended(NamedTuple):
    job: Job
    at: float
    size: Size


class Finished:
    """So many of each kind, that a thousand commands whose answers have been given don't push out
    the job somebody comes back for; none longer than a time; and of all, the oldest go first while
    there is too much output.
    """

    def __init__(self, settings: LocalSettings, loop: Loop) -> None:
        self._settings = settings
        self._loop = loop
        self._lock = threading.Lock()
        self._kinds: dict[Kind, OrderedDict[str, _Ended]] = {kind: OrderedDict() for kind in Kind}
        self._sizes = Size()
        self._files = DESCRIPTORS * resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._planned = False

    def jobs(self) -> list[Job]:
        """All of them."""
        with self._lock:
            return [ended.job for kind in self._kinds.values() for ended in kind.values()]

    def find(self, job_id: str) -> Job | None:
        """The job with that id."""
        with self._lock:
            for kind in self._kinds.values():
                if job_id in kind:
                    return kind[job_id].job
        return None

    def add(self, job: Job) -> None:
        """Keep a job that has ended just now. On the loop."""
        ended = _Ended(job, awake(), job.spool.size())
        with self._lock:
            self._kinds[job.kind][job.id] = ended
            self._sizes = Size(*map(operator.add, self._sizes, ended.size))
            self._forget(job.kind)
        self._plan()

    def _plan(self) -> None:
        """Forget what gets too old although nothing ends any more. On the loop."""
        with self._lock:
            first = self._oldest()
            if first is None or self._planned:
                return
            self._planned = True
        left = first.at + self._settings.keep_seconds - awake()
        self._loop.call_later(min(max(0.0, left) + 0.01, LOOK_AGAIN), self._forget_by_age)

    def _forget_by_age(self) -> None:
        with self._lock:
            self._planned = False
            self._forget()
        self._plan()

    # With the lock

    def _oldest(self) -> _Ended | None:
        firsts = (next(iter(kind.values()), None) for kind in self._kinds.values())
        return min((first for first in firsts if first), key=lambda each: each.at, default=None)

    def _forget(self, grown: Kind | None = None) -> None:
        """Forget what is too much, ``grown`` being the kind that has got one more."""
        settings = self._settings
        if grown and len(self._kinds[grown]) > settings.keep_jobs:
            self._drop(next(iter(self._kinds[grown].values())), too_much=False)
        while first := self._oldest():
            too_much = self._too_much()
            if not too_much and first.at >= awake() - settings.keep_seconds:
                return
            self._drop(first, too_much)

    def _too_much(self) -> bool:
        on_disk, in_memory, files = self._sizes
        limit = self._settings.total_output_limit
        return on_disk + in_memory > limit or in_memory > MEMORY or files > self._files

    def _drop(self, ended: _Ended, too_much: bool) -> None:
        job = ended.job
        del self._kinds[job.kind][job.id]
        self._sizes = Size(*map(operator.sub, self._sizes, ended.size))
        # A session shows its commands as long as it lives, if there is room for that.
        if too_much or job.kind is not Kind.COMMAND:
            job.spool.discard()
