"""The works that are going on: which directories and checkpoints they use, and their ends."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any
from typing import NamedTuple

from toolbox.activity import Mark
from toolbox_checkpoints.errors import CheckpointConflict
from toolbox_checkpoints.errors import TooManyWorks
from toolbox_checkpoints.helper import Run
from toolbox_checkpoints.paths import overlap
from toolbox_checkpoints.store import Record

MAX_RUNNING = 8
"""Maximum works at once: each is a process that uses the disk, and may hold a request's thread."""

MAX_ENDED = 100
"""Maximum works of which the end is remembered."""


class Job(NamedTuple):
    """A run, and what it must not share with others."""

    run: Run
    record: Record
    uses: tuple[str, ...]
    """Ids of checkpoints that must stay."""
    reads: tuple[str, ...]
    """Directories that must not be restored meanwhile."""
    writes: tuple[str, ...]
    """Directories that nobody else may read or write."""


class Running:
    """All works since the start. *Any thread.*

    ``recover`` finishes what killed helpers have left in directories.
    """

    def __init__(self, pool: Executor, recover: Callable[[], object]) -> None:
        self._pool = pool
        self._recover = recover
        self._lock = threading.Lock()
        self._jobs: list[Job] = []
        self._ended: deque[Job] = deque(maxlen=MAX_ENDED)
        self._last_end: Mark | None = None
        self._sweep: Run | None = None
        self._closed = False

    def start(
        self,
        task: dict[str, Any],
        record: Record,
        *,
        uses: tuple[str, ...] = (),
        reads: tuple[str, ...] = (),
        writes: tuple[str, ...] = (),
        ended: Callable[[Run], None] | None = None,
    ) -> Run:
        """Start a work. Raises CheckpointConflict, TooManyWorks and what :class:`Run` raises."""
        # Checked and entered in one step: of two at once, one has to see the other.
        with self._lock:
            self._check(reads, writes)
            run = Run(task)
            job = Job(run, record, uses, reads, writes)
            self._jobs.append(job)
        run.start(self._pool, lambda run: self._end(job, ended))
        return run

    def follow(self, run: Run) -> None:
        """Follow a sweep on this thread, to its end."""
        with self._lock:
            self._sweep = run
            if self._closed:
                run.cancel()
        run.follow()

    def creating(self) -> list[tuple[Record, Run]]:
        """Return the checkpoints that are being made, and those that could not be."""
        with self._lock:
            jobs = [*self._ended, *self._jobs]
        return [(job.record, job.run) for job in jobs if _is_creation(job) and not job.run.result]

    def made(self, identity: str) -> tuple[Record, Run] | None:
        """Return the making of a checkpoint that isn't complete, or None."""
        return next((one for one in self.creating() if one[0]["id"] == identity), None)

    def works(self, identity: str) -> list[Run]:
        """Return the restores and forks of a checkpoint, the oldest first."""
        with self._lock:
            jobs = [*self._ended, *self._jobs]
        kinds = ("restore", "fork")
        return [
            job.run
            for job in jobs
            if job.record["id"] == identity and job.run.task["kind"] in kinds
        ]

    def wait(self, identity: str, seconds: float, is_disconnected: Callable[[], bool]) -> None:
        """Wait until nothing is going on with a checkpoint, ``seconds`` at most."""
        with self._lock:
            jobs = [job for job in self._jobs if job.record["id"] == identity]
        for job in jobs if seconds else []:
            job.run.wait(seconds, is_disconnected)

    def uses(self, identity: str) -> bool:
        """Report whether a checkpoint has to stay."""
        with self._lock:
            return any(identity in job.uses for job in self._jobs)

    def cancel(self, identity: str) -> bool:
        """End the making of a checkpoint, or forget that it failed; report whether there is one."""
        with self._lock:
            for job in [*self._ended]:
                if _is_creation(job) and job.record["id"] == identity and not job.run.result:
                    self._ended.remove(job)
                    return True
            for job in self._jobs:
                if _is_creation(job) and job.record["id"] == identity:
                    job.run.cancel()
                    break
            else:
                return False
        # It may have become complete in this moment, and is there then.
        job.run.done.wait()
        with self._lock, contextlib.suppress(ValueError):
            self._ended.remove(job)
        return job.run.result is None

    def activity(self) -> tuple[int, Mark | None]:
        """Return how many works are going on, and when one has ended last."""
        with self._lock:
            return len(self._jobs), self._last_end

    def close(self, grace: float, *, sweeps: bool = False) -> None:
        """End everything; kill what hasn't ended after ``grace`` seconds.

        If another service ``sweeps`` at once, it can remove an incomplete checkpoint as well as the
        helper: nobody waits for that.
        """
        with self._lock:
            self._closed = True
            jobs = list(self._jobs)
            runs = [job.run for job in jobs] + ([self._sweep] if self._sweep else [])
        for job in jobs:
            if sweeps and _is_creation(job):
                job.run.kill()
        for run in runs:
            run.cancel()
        for run in runs:
            if not run.done.wait(grace):
                run.kill()

    def _check(self, reads: tuple[str, ...], writes: tuple[str, ...]) -> None:
        if self._closed:
            raise CheckpointConflict("the service is stopping")
        if len(self._jobs) >= MAX_RUNNING:
            raise TooManyWorks(
                f"{MAX_RUNNING} checkpoints are being made or used", {"Retry-After": "5"}
            )
        for job in self._jobs:
            for path in job.writes:
                if any(overlap(path, one) for one in (*reads, *writes)):
                    raise CheckpointConflict("the directory is being restored, or forked to")
            if any(overlap(path, one) for path in job.reads for one in writes):
                raise CheckpointConflict("a checkpoint of the directory is being made")

    def _end(self, job: Job, ended: Callable[[Run], None] | None) -> None:
        try:
            # Of a killed helper: before others may use the directory. If it was finished at the
            # next start, that would undo what they have changed since.
            if job.writes and job.run.result is None and not self._closed:
                self._recover()
        finally:
            with self._lock:
                self._jobs.remove(job)
                self._last_end = Mark.now()
                # Nobody can ask for the result of a diff again.
                if job.run.task["kind"] != "diff":
                    self._ended.append(job)
        if ended is not None:
            ended(job.run)


def _is_creation(job: Job) -> bool:
    return bool(job.run.task["kind"] == "create")
