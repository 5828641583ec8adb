"""Memory and processes that run out, in a real control group."""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from toolbox_process.linux.limits import Counts
from toolbox_process.linux.limits import Limits
from toolbox_process.testing import eventually

from toolbox.testing import Service
from toolbox.testing import guard

ROOT = Path("/sys/fs/cgroup")
MEGABYTE = 1 << 20
HOG = "python3 -c 'x = [bytearray(1 << 20) for _ in range(1000)]'"
CROWD = """
import subprocess
crowd = []
try:
    for _ in range(200):
        crowd.append(subprocess.Popen(["sleep", "1000"]))
finally:
    for each in crowd:
        each.kill()
        each.wait()
"""

V1 = {
    "memory": "memory.limit_in_bytes",
    "pids": "pids.max",
    "cpu": "cpu.cfs_quota_us",
}
"""The file of a limit; in v2 it is the controller's ``max``."""

Group = Callable[[str, int], Path]


@pytest.fixture
def make_group() -> Iterator[Group]:
    """Make a control group with a limit, the test's process in it: ``make_group("memory", n)``."""
    left: list[tuple[Path, Path]] = []

    def make(controller: str, limit: int) -> Path:
        v1 = ROOT / controller
        parent, file = (v1, V1[controller]) if v1.is_dir() else (ROOT, f"{controller}.max")
        group = parent / f"toolbox-test-{uuid.uuid4()}"
        before = parent / own_group(controller if v1.is_dir() else "").lstrip("/")
        try:
            group.mkdir()
            (group / file).write_text(str(limit))
            (group / "cgroup.procs").write_text(str(os.getpid()))
        except OSError as error:
            with contextlib.suppress(OSError):
                group.rmdir()
            pytest.skip(f"can't limit a control group here: {error}")
        left.append((group, before))
        return group

    yield make
    for group, before in left:
        leave(group, before)
        eventually(lambda group=group: removed(group), "the end of the group")


def own_group(controller: str) -> str:
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    return next(
        line.split(":", 2)[2] for line in lines if controller in line.split(":")[1].split(",")
    )


def leave(group: Path, before: Path) -> None:
    (before / "cgroup.procs").write_text(str(os.getpid()))


def removed(group: Path) -> bool:
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()


GROUPS = '[plugins]\nenable = ["process", "info", "server"]\n'


@pytest.fixture
def limited(make_group: Group, make_service: Any) -> Callable[[str, int], Service]:
    """Start a service in a control group: ``limited("memory", bytes)``."""

    def start(controller: str, limit: int) -> Service:
        guard()  # It outlives the test, and with it would the group.
        before = own_group(controller if (ROOT / controller).is_dir() else "")
        # This process is in the group until the service has started, with all its threads.
        own = len(os.listdir("/proc/self/task")) if controller == "pids" else 0
        group = make_group(controller, limit + own)
        try:
            service: Service = make_service(settings=GROUPS)
        finally:
            leave(group, group.parent / before.lstrip("/"))
        if own:
            # Other tests may have left this process with many threads.
            (group / "pids.max").write_text(str(limit))
        return service

    return start


def run(service: Service, command: str, **more: Any) -> httpx.Response:
    return service.http.post("/process/execute", json={"command": command, **more})


def test_lack_of_memory_is_told(limited: Callable[[str, int], Service]) -> None:
    """AC-09, AC-41: what is killed is the command, and its end is told for what it is."""
    service = limited("memory", 250 * MEGABYTE)
    workers = service.workers()
    for command in (HOG, f"{HOG}; exit $?"):
        answer = run(service, command)
        assert answer.headers["X-Toolbox-End-Reason"] == "oom"
        assert answer.json()["exitCode"] == 137
    assert run(service, "kill -9 $$").headers["X-Toolbox-End-Reason"] == "signal"
    service.http.post("/process/session", json={"sessionId": "s"})
    path = "/process/session/s/exec"
    answer = service.http.post(path, json={"command": HOG})
    assert (answer.json()["exitCode"], answer.headers["X-Toolbox-End-Reason"]) == (137, "oom")
    assert service.http.post(path, json={"command": "echo on"}).json()["output"] == "on\n"
    job = service.http.post("/x/jobs", json={"command": HOG}).json()["id"]
    assert service.http.get(f"/x/jobs/{job}/wait").json()["reason"] == "oom"
    assert service.workers() == workers


def test_lack_of_processes_is_told(limited: Callable[[str, int], Service]) -> None:
    """AC-41."""
    service = limited("pids", 60)
    answer = run(service, f"python3 - <<'E'\n{CROWD}\nE")
    assert answer.headers["X-Toolbox-End-Reason"] == "pids-limit"
    assert run(service, "exit 1").headers["X-Toolbox-End-Reason"] == "exited"


FILES = {
    "v2": ({"cgroup": "0::/a/b\n"}, "a/b/memory.events", "a/b/pids.events"),
    "v2, seen from within": ({"cgroup": "0::/a/b\n"}, "memory.events", "pids.events"),
    "v1": (
        {"cgroup": "4:memory:/m\n3:cpu,pids:/p\n0::/\n"},
        "memory/m/memory.oom_control",
        "pids/p/pids.events",
    ),
    "v1, seen from within": (
        {"cgroup": "4:memory:/m\n3:pids:/p\n0::/\n"},
        "memory/memory.oom_control",
        "pids/pids.events",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_where_the_kernel_counts(tmp_path: Path, name: str) -> None:
    own, *files = FILES[name]
    (tmp_path / "cgroup").write_text(own["cgroup"])
    memory, pids = (tmp_path / "root" / file for file in files)
    for file, text in ((memory, "low 9\noom_kill 3\n"), (pids, "max 5\n")):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    limits = Limits(tmp_path / "root", tmp_path / "cgroup")
    assert limits.counts() == Counts(3, 5)
    memory.write_text("low 9\noom_kill 4\n")
    assert limits.counts() == Counts(4, 5)
    limits.close()
    assert limits.counts() == Counts()


def test_no_counters(tmp_path: Path) -> None:
    assert Limits(tmp_path, tmp_path / "none").counts() == Counts()


def test_children_go_before_the_service(service: Service) -> None:
    """AC-41: the kernel takes whatever has the higher score."""
    (worker,) = service.workers()
    own = int(Path(f"/proc/{worker}/oom_score_adj").read_text())
    child = int(run(service, "cat /proc/self/oom_score_adj").json()["result"])
    assert child > own or own == 1000
    assert re.fullmatch(r"-?\d+\n", Path(f"/proc/{worker}/oom_score_adj").read_text())


FLOOD = "head -c 100000000 /dev/zero | tr '\\0' '\\377'"


def test_the_sum_of_answers_is_bounded(limited: Callable[[str, int], Service]) -> None:
    """F-A8: each byte that isn't UTF-8 becomes three, and six while that is made."""
    service = limited("memory", 300 * MEGABYTE)
    workers = service.workers()
    for number in range(2):
        service.http.post("/process/session", json={"sessionId": str(number)})
    program = "import os\nfor _ in range(100): os.write(1, b'\\xff' * 1000000)"
    requests: list[tuple[str, dict[str, Any]]] = [
        *[("/process/execute", {"command": FLOOD})] * 4,
        *[("/process/code-run", {"code": program, "language": "python"})] * 2,
        *[(f"/process/session/{number}/exec", {"command": FLOOD}) for number in range(2)],
    ]

    def one(request: tuple[str, dict[str, Any]]) -> None:
        path, body = request
        headers = {"Authorization": f"Bearer {service.token}", "X-Daytona-SDK-Version": "0.226.1"}
        url = f"{service.url}{path}"
        with httpx.stream("POST", url, json=body, headers=headers, timeout=200) as answer:
            size = sum(len(piece) for piece in answer.iter_raw(1 << 20))
        assert answer.status_code == 200
        # Half a million of replacement characters is what an answer has room for, thrice.
        assert size > 3 * 16 * MEGABYTE, (path, answer.headers, size)
        assert answer.headers["X-Toolbox-Truncated"] == str(100_000_000 - 16 * MEGABYTE)

    with ThreadPoolExecutor(len(requests)) as pool:
        list(pool.map(one, requests))
    assert service.workers() == workers
    assert run(service, "echo on").json()["result"] == "on\n"


def test_jobs_know_how_many_cores_they_have(limited: Callable[[str, int], Service]) -> None:
    """F-E4, AC-42: by variables, as a quota is told by nothing that counts cores."""
    service = limited("cpu", 100_000)
    assert service.http.get("/system/metrics").json()["cpuCount"] == 1
    limit = "1" if (os.cpu_count() or 1) > 1 else ""
    names = "$OMP_NUM_THREADS $GOMAXPROCS $OPENBLAS_NUM_THREADS $RAYON_NUM_THREADS"
    wanted = " ".join([limit] * 4) + "\n"
    command = f'echo "{names}"'
    assert run(service, command).json()["result"] == wanted
    assert run(service, "nproc").json()["result"] == "1\n"
    service.http.post("/process/session", json={"sessionId": "s"})
    answer = service.http.post("/process/session/s/exec", json={"command": command})
    assert answer.json()["output"] == wanted
    own = {"OMP_NUM_THREADS": "7"}
    assert run(service, "echo $OMP_NUM_THREADS", envs=own).json()["result"] == "7\n"
    service.http.post("/env", json={"set": {"GOMAXPROCS": "5"}}).raise_for_status()
    assert run(service, "echo $GOMAXPROCS").json()["result"] == "5\n"
