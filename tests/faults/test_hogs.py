"""Programs that take all memory, all processes or all of a disk: the service goes on, and says why
what they were part of has ended.

Every service here is in a control group of its own with a limit, so that the machine feels nothing.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from toolbox.testing import Service

MEGABYTE = 1 << 20
HOG = "python3 -c 'x = []\nwhile True: x.append(b\"x\" * 10_000_000)'"
STORM = """
i=0
while [ $i -lt 2000 ]; do
    sleep 1000 & i=$((i + 1))
done
"""


@pytest.fixture
def limited(cgroup: Callable[..., Any], tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start services within limits: ``limited(memory=bytes, pids=number)``."""
    started: list[Service] = []

    def make(**limits: int) -> Service:
        wrapper = cgroup(**limits).wrapper
        started.append(Service(tmp_path / f"service-{len(started)}", wrapper=wrapper))
        return started[-1]

    yield make
    for each in started:
        each.stop()


def healthy(service: Service, seconds: float = 1.0) -> None:
    """Ask for the health for a while; each answer comes within ``seconds``, as AC-41 promises,
    or a machine that is busy with other things lets it come at all.
    """
    with contextlib.closing(service.client(None)) as client:
        times = []
        for _ in range(20):
            began = time.monotonic()
            assert client.get("/healthz").status_code == 200
            times.append(time.monotonic() - began)
    assert sorted(times)[10] < seconds


def test_a_memory_hog_ends_alone_and_the_reason_is_told(limited: Callable[..., Service]) -> None:
    # AC-09, AC-41
    service = limited(memory=400 * MEGABYTE)
    (worker,) = service.workers()
    service.http.post("/process/session", json={"sessionId": "kept"}).raise_for_status()
    job = service.http.post("/x/jobs", json={"command": HOG}).json()["id"]
    healthy(service)
    done = service.http.get(f"/x/jobs/{job}/wait", params={"timeout": 60}).json()
    assert done["done"]
    assert done["reason"] == "oom", done
    answer = service.http.post("/process/execute", json={"command": HOG})
    assert answer.headers["X-Toolbox-End-Reason"] == "oom"
    assert answer.json()["exitCode"] == 137
    assert service.workers() == [worker]
    body = {"command": "echo still here"}
    answer = service.http.post("/process/session/kept/exec", json=body)
    assert answer.json()["output"] == "still here\n"


def test_a_fork_storm_ends_nothing_but_itself(limited: Callable[..., Service]) -> None:
    # AC-41
    service = limited(pids=120)
    (worker,) = service.workers()
    job = service.http.post("/x/jobs", json={"command": STORM}).json()["id"]

    def full() -> bool:
        output = service.http.get(f"/x/jobs/{job}/output", params={"encoding": "text"}).json()
        return any("fork" in piece["data"] for piece in output["pieces"])

    service.wait_for(full, "the limit")
    healthy(service)

    # There is no room for more threads now, but those there are answer everybody.
    def version(_: int) -> int:
        with service.client(None) as client:
            return client.get("/version").status_code

    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        assert set(pool.map(version, range(64))) == {200}
    answer = service.http.post("/process/execute", json={"command": "true"})
    assert answer.status_code in (200, 503), answer.text
    ended = service.http.delete(f"/x/jobs/{job}")
    assert ended.json().get("done"), ended.text + service.log()
    assert service.workers() == [worker]

    def runs() -> bool:
        answer = service.http.post("/process/execute", json={"command": "echo room again"})
        return bool(answer.status_code == 200 and answer.json()["result"] == "room again\n")

    service.wait_for(runs, "room")
    assert "Traceback" not in service.log()


def test_many_slow_requests_without_room_for_threads(limited: Callable[..., Service]) -> None:
    """More requests at once than there can be threads: some wait, none ends the worker."""
    service = limited(pids=40)
    (worker,) = service.workers()

    def wait(_: int) -> httpx.Response:
        with service.client(service.token) as client:
            return client.get("/x/ports/1/wait", params={"timeout": 1})

    with concurrent.futures.ThreadPoolExecutor(80) as pool:
        answers = list(pool.map(wait, range(80)))
    assert {answer.status_code for answer in answers} <= {408, 503}
    assert service.workers() == [worker]
    assert service.http.get("/readyz").status_code == 200
