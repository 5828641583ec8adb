"""Limits of single jobs: in a real control group, and by the limits of processes elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toolbox_process.backend import ProcessBackend
from toolbox_process.engine.output import collect
from toolbox_process.jobs.models import StartJobRequest
from toolbox_process.jobs.responses import job_info
from toolbox_process.linux.groups import PREFIX
from toolbox_process.linux.groups import JobGroups
from toolbox_process.local import LocalProcess
from toolbox_process.models import Limits
from toolbox_process.settings import LocalSettings
from toolbox_process.settings import ProcessSettings
from toolbox_process.testing import eventually

from toolbox.testing import Service

MEGABYTE = 1 << 20
HOG = "import sys\nx = [bytearray(b'x' * (1 << 20)) for _ in range(400)]\nsys.exit(7)"
CROWD = "i=0; while [ $i -lt 60 ]; do sleep 30 & i=$((i+1)); done; wait"
ROOT = Path("/sys/fs/cgroup")


def by(name: str) -> str:
    """The means by which a limit is enforced here."""
    groups = JobGroups()
    group = groups.make({name: 100.0 if name == "pids" else 64.0 * MEGABYTE})
    found = name in group.directories
    groups.release(group)
    return "cgroup" if found else "rlimit"


def run(service: Service, *argv: str, **limits: float) -> Any:
    answer = service.http.post(
        "/x/jobs?wait=50&preview=4000,4000", json={"argv": argv, "limits": limits}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


def groups_left() -> list[Path]:
    # Others make and remove groups at the same time, which this walk doesn't mind.
    return [
        Path(where, name)
        for where, names, _ in os.walk(ROOT)
        for name in names
        if name.startswith(PREFIX)
    ]


def test_too_much_memory(service: Service) -> None:
    info = run(service, "python3", "-c", HOG, memory=100 * MEGABYTE)
    assert info["limits"]["memory"] == {"value": 100 * MEGABYTE, "by": by("memory")}
    if by("memory") == "cgroup":
        assert (info["exitCode"], info["reason"]) == (137, "oom")
    else:
        assert "MemoryError" in info["stderr"]["head"]
    assert run(service, "python3", "-c", HOG, memory=1000 * MEGABYTE)["exitCode"] == 7


def test_too_many_processes(service: Service) -> None:
    info = run(service, "sh", "-c", f"({CROWD}) 2>&1; kill 0", pids=20)
    assert info["limits"]["pids"]["by"] in ("cgroup", "none")
    if info["limits"]["pids"]["by"] == "cgroup":
        assert "fork" in info["stdout"]["head"].lower()
        assert info["reason"] == "pids-limit"


def test_less_than_a_core(service: Service) -> None:
    """Half a second of a core takes five times as long with a fifth of one."""
    code = "import time\nwhile time.process_time() < 0.5: pass\nprint(time.perf_counter())"
    info = run(service, "python3", "-c", code, cpu=0.2)
    if info["limits"]["cpu"]["by"] == "cgroup":
        assert info["duration"] > 1.2
    else:
        assert info["limits"]["cpu"]["by"] == "affinity"


def test_it_holds_from_the_first_moment_and_for_all(service: Service) -> None:
    """What a job starts in its first breath can't get away."""
    code = "setsid sh -c 'cat /proc/self/cgroup' & cat /proc/self/cgroup; wait"
    info = run(service, "sh", "-c", code, memory=64 * MEGABYTE, pids=50)
    if by("memory") == "cgroup":
        lines = [line for line in info["stdout"]["head"].splitlines() if PREFIX in line]
        assert len(lines) >= 2
        assert len({line.rpartition("/")[2] for line in lines}) == 1


def test_groups_are_removed(service: Service) -> None:
    info = run(service, "sh", "-c", "sleep 1000 >/dev/null 2>&1 &", memory=64 * MEGABYTE, cpu=1)
    service.http.delete(f"/x/jobs/{info['id']}")

    def none_left() -> bool:
        # The group of a job that has left something is removed when the next one is made.
        run(service, "true", memory=64 * MEGABYTE)
        (worker,) = service.workers()
        return not [path for path in groups_left() if path.name.startswith(f"{PREFIX}{worker}-")]

    eventually(none_left, "the end of the groups")


def test_the_environment_and_the_streams_are_the_jobs_own(service: Service) -> None:
    """The program that sets the limits leaves no trace, whatever the job's variables are."""
    envs = {"PYTHONHOME": "/none", "PYTHONPATH": "/none", "LC_ALL": "C", "A_B": "c=d"}
    answer = service.http.post(
        "/x/jobs?wait=50&preview=9000,9000",
        json={
            "argv": ["sh", "-c", "env -0; ls -l /proc/self/fd >&2; cat"],
            "envs": envs,
            "limits": {"memory": 256 * MEGABYTE},
            "input": "read",
        },
    )
    lines = answer.json()["stdout"]["head"].split("\0")
    assert {f"{name}={value}" for name, value in envs.items()} <= set(lines)
    assert not [line for line in lines if line.startswith("LC_CTYPE")]
    assert lines[-1] == "read"
    assert len(answer.json()["stderr"]["head"].splitlines()) <= 5


@pytest.fixture
def backend(make_backend: Callable[..., ProcessBackend], tmp_path: Path) -> ProcessBackend:
    """A backend where no control group can be made."""
    made: Any = make_backend(LocalProcess, LocalSettings(grace=0.5), ProcessSettings())
    made._engine.launcher.host.groups = JobGroups(tmp_path, tmp_path / "none")
    return made  # type: ignore[no-any-return]


def test_without_control_groups(backend: ProcessBackend) -> None:
    limits = Limits(cpu=0.5, memory=100 * MEGABYTE, pids=20)
    code = f"import os\nprint(len(os.sched_getaffinity(0)), flush=True)\n{HOG}"
    job, _ = backend.jobs.start(StartJobRequest(argv=["python3", "-c", code], limits=limits), 50)
    info = job_info(job)
    assert isinstance(info.limits, dict)
    root = os.geteuid() == 0
    assert {name: limit.by for name, limit in info.limits.items()} == {
        "cpu": "affinity",
        "memory": "rlimit",
        "pids": "none" if root else "rlimit",
    }
    text = collect(job.spool, None, 1 << 20).text
    assert text.startswith("1\n")
    assert "MemoryError" in text
    assert info.exit_code == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_processes_of_another_user_without_control_groups(backend: ProcessBackend) -> None:
    script = "i=0; while [ $i -lt 40 ]; do /bin/sleep 2 & i=$((i+1)); done; wait"
    request = StartJobRequest(
        argv=["/bin/sh", "-c", script], user="54321:54321", cwd="/", limits=Limits(pids=10)
    )
    job, _ = backend.jobs.start(request, 50)
    info = job_info(job)
    assert isinstance(info.limits, dict)
    assert info.limits["pids"].by == "rlimit"
    assert "fork" in collect(job.spool, None, 1 << 20).text.lower()


def test_a_launch_that_fails_leaves_no_group(service: Service) -> None:
    (worker,) = service.workers()
    for argv in (["/none"], ["/etc/passwd"], ["true", "x" * 200_000]):
        body = {"argv": argv, "limits": {"memory": 64 * MEGABYTE, "pids": 9}}
        assert service.http.post("/x/jobs", json=body).status_code == 400
    own = f"{PREFIX}{worker}-"
    assert [path for path in groups_left() if path.name.startswith(own)] == []


def test_the_groups_of_a_service_that_ended(make_service: Any) -> None:
    """With it its groups are gone, and of one that was killed as soon as another makes some."""
    service = make_service()
    (worker,) = service.workers()
    for _ in range(5):
        body = {"argv": ["sleep", "1000"], "limits": {"memory": 64 * MEGABYTE, "pids": 9}}
        assert service.http.post("/x/jobs", json=body).status_code == 201
    assert service.stop() == 0
    own = f"{PREFIX}{worker}-"
    assert [path for path in groups_left() if path.name.startswith(own)] == []


def test_groups_of_services_that_were_killed(tmp_path: Path) -> None:
    """Directories that stand for control groups: the kernel lets no test change their time."""
    for name in ("pids", "memory"):
        (tmp_path / name / "own").mkdir(parents=True)
    own = tmp_path / "cgroup"
    own.write_text("4:memory:/own\n5:pids:/own\n")
    parent = tmp_path / "pids" / "own"
    alive, dead, new = (
        parent / f"{PREFIX}{pid}-{name}"
        for pid, name in ((os.getpid(), "alive"), (2**22 + 1, "dead"), (2**22 + 1, "new"))
    )
    for path in (alive, dead, new):
        path.mkdir()
        if path is not new:
            os.utime(path, (0, 0))
    group = JobGroups(tmp_path, own).make({"pids": 9.0})
    assert (alive.exists(), dead.exists(), new.exists()) == (True, False, True)
    assert (group.directories["pids"] / "pids.max").read_text() == "9"
