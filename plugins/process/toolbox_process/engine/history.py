"""The jobs that run, and those that have ended, which can be looked up for a while."""

from __future__ import annotations

import operator
import resource
import threading
from collections import OrderedDict
from collections.abc import Callable
from operator import call
from typing import NamedTuple

from toolbox.activity import Mark
from toolbox.linux.clock import awake
from toolbox.sockets.loop import Loop
from toolbox_process.engine.blocks import Size
from toolbox_process.engine.job import WORK
from toolbox_process.engine.job import Job
from toolbox_process.engine.job import Kind
from toolbox_process.engine.spool import NOTHING
from toolbox_process.settings import LocalSettings

LONGEST_WAIT = 3600.0
"""Seconds at most between two searches for expired jobs."""

MEMORY = 128 * 1024 * 1024
"""Bytes of the output of all finished jobs kept in memory."""

DESCRIPTORS = 0.25
"""Fraction of the service's file descriptors (RLIMIT_NOFILE) used for finished jobs' output."""


Submit = Callable[[Callable[[], object]], object]
"""A function that has another one called, now or on another thread."""


class _Entry(NamedTuple):
    job: Job
    ended_at: float
    size: Size


class JobHistory:
    """Finished jobs: ``keep_jobs`` of each kind, for ``keep_seconds``.

    The number is per kind so that a thousand commands whose results were returned don't push out a
    job that a client comes back for. While there is too much output, the oldest of all go first.
    """

    def __init__(self, settings: LocalSettings, loop: Loop, submit: Submit = call) -> None:
        self._settings = settings
        self._loop = loop
        self._submit = submit
        self._lock = threading.Lock()
        self._kinds: dict[Kind, OrderedDict[str, _Entry]] = {kind: OrderedDict() for kind in Kind}
        self._sizes = Size()
        self._files = DESCRIPTORS * resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._scheduled = False

    def jobs(self) -> list[Job]:
        """Return all, those of one kind in the order of their ends."""
        with self._lock:
            return [entry.job for kind in self._kinds.values() for entry in kind.values()]

    def find(self, job_id: str) -> Job | None:
        """Return the job with that id, None if it isn't kept."""
        with self._lock:
            for kind in self._kinds.values():
                if job_id in kind:
                    return kind[job_id].job
        return None

    def ages(self) -> dict[str, float]:
        """Return the seconds since each job's end, by its id."""
        now = awake()
        with self._lock:
            entries = [entry for kind in self._kinds.values() for entry in kind.values()]
            return {entry.job.id: now - entry.ended_at for entry in entries}

    def add(self, job: Job, age: float = 0.0) -> None:
        """Add a job that has just ended, or ``age`` seconds ago. On the loop."""
        # The size at the end: what a background process adds later is within the spool's limit.
        entry = _Entry(job, awake() - age, job.spool.size())
        with self._lock:
            self._kinds[job.kind][job.id] = entry
            if entry.size is not NOTHING:
                self._sizes = Size(*map(operator.add, self._sizes, entry.size))
            self._trim(job.kind)
        self._schedule()

    def _schedule(self) -> None:
        """Plan the next expiration, which must come even if no job ends any more. On the loop."""
        if self._scheduled:  # As after nearly every job.
            return
        with self._lock:
            first = self._oldest()
            if first is None or self._scheduled:
                return
            self._scheduled = True
        left = first.ended_at + self._settings.keep_seconds - awake()
        self._loop.call_later(min(max(0.0, left) + 0.01, LONGEST_WAIT), self._expire)

    def _expire(self) -> None:
        with self._lock:
            self._scheduled = False
            self._trim()
        self._schedule()

    # With the lock

    def _oldest(self) -> _Entry | None:
        found = None
        for kind in self._kinds.values():
            for first in kind.values():
                if found is None or first.ended_at < found.ended_at:
                    found = first
                break
        return found

    def _trim(self, grown: Kind | None = None) -> None:
        """Drop what exceeds the limits; ``grown`` is the kind that has one more."""
        settings = self._settings
        if grown and len(self._kinds[grown]) > settings.keep_jobs:
            self._drop(next(iter(self._kinds[grown].values())), over_limit=False)
        while first := self._oldest():
            over_limit = self._is_over_limit()
            if not over_limit and first.ended_at >= awake() - settings.keep_seconds:
                return
            self._drop(first, over_limit)

    def _is_over_limit(self) -> bool:
        on_disk, in_memory, files = self._sizes
        limit = self._settings.total_output_limit
        return on_disk + in_memory > limit or in_memory > MEMORY or files > self._files

    def _drop(self, entry: _Entry, over_limit: bool) -> None:
        job = entry.job
        del self._kinds[job.kind][job.id]
        self._sizes = Size(*map(operator.sub, self._sizes, entry.size))
        # A session shows its commands as long as it exists, if there is room.
        if over_limit or job.kind is not Kind.COMMAND:
            # Not on the loop: a file system takes 0.3 s to free a GiB.
            try:
                self._submit(job.spool.discard)
            except RuntimeError:  # The service stops.
                job.spool.discard()


class JobList:
    """Every job that is known. *Any thread.*"""

    def __init__(self, settings: LocalSettings, loop: Loop, submit: Submit = call) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._running: dict[str, Job] = {}
        self._history = JobHistory(settings, loop, submit)
        self.ages = self._history.ages
        self.last_end: Mark | None = None

    def add(self, job: Job) -> None:
        """List a job, and remember it for a while after its end."""
        with self._lock:
            self._running[job.id] = job
        self._loop.call_soon(lambda: job.when_ended(lambda: self._on_ended(job)))

    def add_new(self, job: Job) -> None:
        """List a job that nothing can have ended yet: then the loop needn't be woken."""
        with self._lock:
            self._running[job.id] = job
        job.when_ended(lambda: self._on_ended(job))

    def restore(self, job: Job, age: float) -> None:
        """List a job that has ended ``age`` seconds ago. On the loop."""
        self._history.add(job, age)

    def _on_ended(self, job: Job) -> None:
        # In one step, so that a job is always found in one of the two.
        with self._lock:
            self._running.pop(job.id, None)
            if job.kind in WORK:
                self.last_end = Mark.now()
            self._history.add(job)

    def all(self, kind: Kind | None = None) -> list[Job]:
        """Return the jobs, or those of one kind, the oldest first."""
        with self._lock:
            known = [*self._history.jobs(), *self._running.values()]
        chosen = [job for job in known if kind is None or job.kind is kind]
        return sorted(chosen, key=lambda job: job.started)

    def find(self, job_id: str) -> Job | None:
        """Return the job with that id, None if it isn't known."""
        with self._lock:
            return self._running.get(job_id) or self._history.find(job_id)
