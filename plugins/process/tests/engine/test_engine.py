"""The engine, with programs that do what the test tells them: milliseconds each."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from toolbox_process.engine.ends import Reason
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.job import Kind
from toolbox_process.engine.launcher import Counts
from toolbox_process.engine.output import collect
from toolbox_process.engine.spec import PIPE
from toolbox_process.engine.spec import Spec
from toolbox_process.engine.spool import ERR
from toolbox_process.engine.spool import OUT
from toolbox_process.errors import NotEnded
from toolbox_process.errors import ProcessNotFound
from toolbox_process.errors import SpawnFailed
from toolbox_process.settings import LocalSettings
from toolbox_process.settings import ProcessSettings
from toolbox_process.testing import FakeLauncher

from toolbox.auth.factory import make_auth
from toolbox.lifecycle import Context
from toolbox.settings import AuthSettings
from toolbox.sockets.loop import Loop
from toolbox.testing import DEADLINE


@pytest.fixture
def launcher() -> FakeLauncher:
    return FakeLauncher()


@pytest.fixture
def engine(loop: Loop, launcher: FakeLauncher, tmp_path: Path) -> Iterator[Engine]:
    with ThreadPoolExecutor(2) as pool:
        auth = make_auth(AuthSettings(mode="none"), "127.0.0.1", {})
        context = Context(ProcessSettings(), loop, pool, tmp_path, auth)
        settings = LocalSettings(state_dir=str(tmp_path), drain_idle=0, grace=0)
        made = Engine(settings, context, launcher)
        yield made
        made.close()


def spec(**options: object) -> Spec:
    return Spec(Kind.JOB, "label", ["program"], **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (0, 0, Reason.EXITED),
        (3, 3, Reason.EXITED),
        (137, 137, Reason.EXITED),
        (-9, 137, Reason.SIGNAL),
        (-15, 143, Reason.SIGNAL),
    ],
)
def test_an_end(
    engine: Engine, launcher: FakeLauncher, status: int, code: int, reason: Reason
) -> None:
    job = engine.start(spec(split=True))
    assert (job.pid, job.running, job.exit_code, job.reason) == (1, True, None, None)
    child = launcher.children[0]
    child.write(b"out")
    child.write(b"err", ERR)
    child.exit(status)
    assert job.done.wait(DEADLINE)
    assert (job.exit_code, job.reason, job.pid, job.running) == (code, reason, None, False)
    assert collect(job.spool, OUT, 100).text == "out"
    assert collect(job.spool, ERR, 100).text == "err"


@pytest.mark.parametrize(
    ("status", "counted", "reason"),
    [
        (-9, Counts(oom=1), Reason.OOM),
        (137, Counts(oom=1), Reason.OOM),
        (1, Counts(oom=1), Reason.EXITED),
        (1, Counts(pids=1), Reason.PIDS_LIMIT),
        (0, Counts(pids=1), Reason.EXITED),
    ],
)
def test_a_limit_explains_an_end(
    engine: Engine, launcher: FakeLauncher, status: int, counted: Counts, reason: Reason
) -> None:
    """AC-09, AC-41."""
    job = engine.start(spec())
    launcher.children[0].counted = counted
    launcher.children[0].exit(status)
    assert job.done.wait(DEADLINE)
    assert job.reason is reason


def test_input(engine: Engine, launcher: FakeLauncher) -> None:
    job = engine.start(spec(stdin=PIPE))
    assert job.stdin is not None
    job.stdin.write(b"sent")
    assert launcher.children[0].read() == b"sent"
    job.stdin.close()
    assert launcher.children[0].read() == b""


def test_a_job_is_ended_for_a_reason(engine: Engine, launcher: FakeLauncher) -> None:
    job = engine.start(spec())
    engine.end(job, Reason.TIMEOUT)
    assert (job.done.is_set(), job.reason) == (True, Reason.TIMEOUT)
    assert launcher.children[0].signals == [signal.SIGTERM]
    assert launcher.children[0].closed
    engine.end(job, Reason.CANCELLED)
    assert job.reason is Reason.TIMEOUT


def test_an_end_that_has_come_keeps_its_reason(engine: Engine, launcher: FakeLauncher) -> None:
    job = engine.start(spec())
    launcher.children[0].exit(0)
    assert job.done.wait(DEADLINE)
    engine.end(job, Reason.CANCELLED)
    assert job.reason is Reason.EXITED


def test_what_can_not_be_ended_is_told_and_tried_again(
    engine: Engine, launcher: FakeLauncher
) -> None:
    job = engine.start(spec())
    child = launcher.children[0]
    child.survives = frozenset({signal.SIGTERM, signal.SIGKILL})
    with pytest.raises(NotEnded):
        engine.end(job, Reason.CANCELLED)
    engine.end_soon(job, Reason.CANCELLED)
    child.survives = frozenset()
    assert job.done.wait(DEADLINE)
    assert job.reason is Reason.CANCELLED


def test_a_start_that_fails(engine: Engine, launcher: FakeLauncher) -> None:
    """What passes by itself isn't the program's fault. No descriptor is left."""
    before = len(os.listdir("/proc/self/fd"))
    launcher.error = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "program")
    with pytest.raises(SpawnFailed, match="program: No such file"):
        engine.start(spec(split=True, stdin=PIPE))
    launcher.error = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    with pytest.raises(OSError, match="Too many open files"):
        engine.start(spec(split=True, stdin=PIPE))
    assert len(os.listdir("/proc/self/fd")) == before
    assert engine.jobs() == []


def test_jobs_are_listed_and_found(engine: Engine, launcher: FakeLauncher) -> None:
    first, second = engine.start(spec(job_id="a")), engine.start(spec())
    ended = threading.Event()
    engine.loop.call_soon(lambda: first.when_ended(ended.set))
    launcher.children[0].exit(0)
    assert ended.wait(DEADLINE)
    assert engine.jobs() == [first, second]
    assert engine.jobs(Kind.TERMINAL) == []
    assert engine.find("a") is first
    assert engine.find("b") is None
    assert isinstance(engine.not_there("job", "b"), ProcessNotFound)


def test_variables(engine: Engine, launcher: FakeLauncher, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job's win over the profile's, and these over the service's."""
    monkeypatch.setenv("PAGER", "service")
    engine.start(spec())
    assert launcher.children[0].program.environment["PAGER"] == "service"
    profile = {"TOOLBOX_PROFILE": "automation"}
    engine.start(spec(envs=profile))
    assert launcher.children[1].program.environment["PAGER"] == "cat"
    engine.start(spec(envs={**profile, "PAGER": "job"}))
    assert launcher.children[2].program.environment["PAGER"] == "job"


def test_the_end_of_the_service_is_the_end_of_all(engine: Engine, launcher: FakeLauncher) -> None:
    jobs = [engine.start(spec()) for _ in range(3)]
    launcher.children[0].exit(0)
    assert jobs[0].done.wait(DEADLINE)
    engine.close()
    assert [job.reason for job in jobs] == [Reason.EXITED, Reason.CANCELLED, Reason.CANCELLED]
    assert all(child.closed for child in launcher.children)
