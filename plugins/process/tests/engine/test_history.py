"""The history of jobs: how many, how long, how much."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from operator import call
from pathlib import Path
from typing import Any

import pytest
from toolbox_process.engine import history as module
from toolbox_process.engine.followers import FollowerLimit
from toolbox_process.engine.history import JobHistory
from toolbox_process.engine.job import Job
from toolbox_process.engine.job import JobParts
from toolbox_process.engine.job import Kind
from toolbox_process.engine.pipe_reader import PipeReader
from toolbox_process.engine.spool import Spool
from toolbox_process.settings import LocalSettings
from toolbox_process.testing import eventually

from toolbox.identifiers import new_id
from toolbox.sockets.loop import Loop

On = Callable[[Callable[[], Any]], Any]

MIB = 1 << 20


class History:
    """A history and the jobs that were added to it."""

    def __init__(self, loop: Loop, on: On, directory: Path, **settings: Any) -> None:
        self._loop = loop
        self._on = on
        self._directory = directory
        self.submitted: list[Callable[[], object]] = []
        submit = self.submitted.append if settings.pop("later", False) else call
        self.history = JobHistory(LocalSettings(**settings), loop, submit)

    def add(self, size: int = 10, kind: Kind = Kind.EXECUTE, memory: int = 64 * MIB) -> Job:
        """Add a job with ``size`` bytes of output, which are on disk if ``memory`` is less."""
        spool = Spool(memory, 1 << 40, lambda passed: self._directory)
        for start in range(0, size, MIB):
            spool.append(b"x" * min(MIB, size - start))
        reader = PipeReader(self._loop, spool, 0, 0)
        job = Job(JobParts(kind, "label", new_id(), self._loop, spool, reader, FollowerLimit(1)))
        self._on(lambda: self.history.add(job))
        return job

    @property
    def jobs(self) -> list[Job]:
        return self.history.jobs()


@pytest.fixture
def make(loop: Loop, on: On, tmp_path: Path) -> Callable[..., History]:
    return lambda **settings: History(loop, on, tmp_path, **settings)


def is_discarded(job: Job) -> bool:
    return job.spool.size() == (0, 0, 0)


def test_jobs_are_found_by_their_id(make: Any) -> None:
    history = make()
    added = [history.add(kind=kind) for kind in Kind]
    assert {job.id for job in history.jobs} == {job.id for job in added}
    for job in added:
        assert history.history.find(job.id) is job
    assert history.history.find("no such") is None


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_of_each_kind_the_latest_are_kept(make: Any, keep: int) -> None:
    """A thousand commands don't push out the one job somebody comes back for."""
    history = make(keep_jobs=keep)
    other = history.add(kind=Kind.JOB)
    added = [history.add() for _ in range(5)]
    kept = added[len(added) - keep :]
    assert [job for job in history.jobs if job is not other] == kept
    assert (other in history.jobs) == (keep > 0)
    for job in added:
        assert is_discarded(job) == (job not in kept)
        assert (history.history.find(job.id) is None) == (job not in kept)


def test_output_is_freed_on_another_thread(make: Any) -> None:
    """Freeing a GiB takes 0.3 s, in which a key would have no echo."""
    history = make(keep_jobs=1, later=True)
    first, second = history.add(), history.add()
    assert history.jobs == [second]
    assert not is_discarded(first)
    for work in history.submitted:
        work()
    assert (is_discarded(first), is_discarded(second)) == (True, False)


def test_a_session_shows_the_commands_it_has(make: Any) -> None:
    """A command that is no longer listed keeps its output, as its session is still there."""
    history = make(keep_jobs=1)
    first, second = (history.add(kind=Kind.COMMAND) for _ in range(2))
    assert history.jobs == [second]
    assert not is_discarded(first)


def test_too_much_output_pushes_out_the_oldest_of_all(make: Any) -> None:
    history = make(total_output_limit=3 * MIB)
    first = history.add(MIB, Kind.COMMAND)
    second = history.add(MIB, Kind.JOB)
    third = history.add(MIB, Kind.EXECUTE)
    assert set(history.jobs) == {first, second, third}
    last = history.add(1, Kind.EXECUTE)
    assert set(history.jobs) == {second, third, last}
    assert is_discarded(first), "a command's too, where there is no room"
    huge = history.add(3 * MIB)
    assert history.jobs == [huge]
    more = history.add(4 * MIB)
    assert history.jobs == []
    assert is_discarded(more)
    assert history.add(MIB) in history.jobs, "what is gone takes no room"


def test_output_on_disk_and_in_memory_counts_as_one(make: Any) -> None:
    history = make(total_output_limit=3 * MIB)
    first, second = history.add(2 * MIB, memory=4096), history.add(MIB)
    assert (first.spool.size().in_memory, second.spool.size().on_disk) == (0, 0)
    assert set(history.jobs) == {first, second}
    third = history.add(1)
    assert set(history.jobs) == {second, third}


def test_memory_is_bounded_whatever_the_disk_may_hold(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MEMORY", 3 * MIB)
    history = make()
    first, second, third = (history.add(MIB) for _ in range(3))
    assert set(history.jobs) == {first, second, third}
    on_disk = history.add(8 * MIB, memory=4096)
    assert set(history.jobs) == {first, second, third, on_disk}
    last = history.add(1)
    assert set(history.jobs) == {second, third, on_disk, last}


def test_open_files_are_bounded(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setattr(module, "DESCRIPTORS", 3.5 / soft)  # Three files.
    history = make()
    added = [history.add(MIB, memory=4096) for _ in range(4)]
    assert history.jobs == added[1:]
    assert is_discarded(added[0])


def test_jobs_are_forgotten_with_time_though_nothing_ends_any_more(make: Any) -> None:
    history = make(keep_seconds=0.2)
    began = time.monotonic()
    first = history.add()
    second = history.add(kind=Kind.COMMAND)
    eventually(lambda: history.jobs == [], "the end of their time")
    assert time.monotonic() - began >= 0.2
    assert is_discarded(first)
    assert not is_discarded(second), "its session may still show it"
    third = history.add()
    assert history.jobs == [third]
    eventually(lambda: history.jobs == [], "the end of its time")


def test_a_long_time_is_looked_at_in_between(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that finds nothing too old plans the next one, and only one look is planned."""
    monkeypatch.setattr(module, "LONGEST_WAIT", 0.01)
    history = make(keep_seconds=0.3)
    for _ in range(5):
        history.add()
    eventually(lambda: history.jobs == [], "the end of their time")
