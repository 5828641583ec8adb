"""Much of everything at once: nothing lost, nothing grows, nobody waits for another."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import websocket
from toolbox_process.testing import eventually

from toolbox.linux.procfs import cpu_ticks
from toolbox.testing import Service

GIGABYTE = 1 << 30
MEGABYTE = 1 << 20
NEW = ["X-Daytona-SDK-Version: 0.226.1"]


def memory(pid: int, name: str = "VmRSS") -> int:
    """Bytes of memory the process has in use."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def cpu_seconds(pid: int) -> float:
    return cpu_ticks(pid) / os.sysconf("SC_CLK_TCK")


def session(service: Service, name: str) -> Callable[..., Any]:
    service.http.post("/process/session", json={"sessionId": name})

    def run(command: str, wait: bool = True) -> Any:
        body = {"command": command, "runAsync": not wait}
        return service.http.post(f"/process/session/{name}/exec", json=body).json()

    return run


@pytest.mark.timeout(150)
def test_a_gigabyte_through_a_session(make_service: Any) -> None:
    """AC-21: every byte arrives, and the service stays small."""
    service = make_service()
    run = session(service, "big")
    run("true")
    worker = service.workers()[0]
    before = memory(worker)
    command = run(f"head -c {GIGABYTE} /dev/zero", wait=False)["cmdId"]
    path = f"/process/session/big/command/{command}/logs?follow=true"
    ws = service.websocket(path, header=NEW, enable_multithread=False, skip_utf8_validation=True)
    received, largest = 0, before
    while True:
        opcode, data = ws.recv_data(control_frame=True)
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            break
        if opcode == websocket.ABNF.OPCODE_BINARY:
            received += len(data) - 3
        if received % (64 * MEGABYTE) < 40000:
            largest = max(largest, memory(worker))
    ws.close()
    assert received == GIGABYTE
    assert largest - before < 48 * MEGABYTE
    service.http.delete("/process/session/big")


def test_a_flood_nobody_reads(make_service: Any) -> None:
    """AC-26: output past the bound goes, memory doesn't."""
    settings = f"[process.local]\noutput_limit = {32 * MEGABYTE}\n"
    service = make_service(settings=settings)
    worker = service.workers()[0]
    service.http.post("/process/execute", json={"command": "true"})
    before = memory(worker)
    body = {"command": "head -c 300000000 /dev/zero | tr '\\0' x; echo; echo last"}
    answer = service.http.post("/process/execute", json=body)
    assert answer.json()["result"].endswith("x\nlast\n")
    assert memory(worker, "VmHWM") - before < 150 * MEGABYTE


def test_others_are_answered_during_a_flood(service: Service) -> None:
    """AC-41, in part: a command that writes as fast as it can delays nothing for long."""
    job = service.http.post("/x/jobs", json={"command": "cat /dev/zero"}).json()["id"]
    times = []
    for _ in range(50):
        begun = time.monotonic()
        assert service.http.get("/healthz").status_code == 200
        times.append(time.monotonic() - begun)
    # The slowest may be those of a machine that is busy with other things.
    assert sorted(times)[40] < 1
    assert service.http.delete(f"/x/jobs/{job}").json()["done"]


def test_more_long_commands_than_places(make_service: Any) -> None:
    """AC-11: stuck commands never make the service unusable."""
    service = make_service(settings="[process]\nmax_waiting = 8\n")
    answers: list[httpx.Response] = []

    def stuck() -> None:
        with service.client(service.token) as client:
            body = {"command": "sleep 1000"}
            answers.append(client.post("/process/execute", json=body))

    threads = [threading.Thread(target=stuck) for _ in range(12)]
    for thread in threads:
        thread.start()
    eventually(lambda: sum(answer.status_code == 503 for answer in answers) == 4, "the refusal")
    assert service.http.get("/healthz").status_code == 200
    assert all(answer.headers["Retry-After"] for answer in answers)

    def running() -> list[str]:
        return [job["id"] for job in service.http.get("/x/jobs").json()["jobs"]]

    eventually(lambda: len(running()) == 8, "the start of the others")
    for job in running():
        service.http.delete(f"/x/jobs/{job}")
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200] * 8 + [503] * 4
    body = {"command": "echo free"}
    assert service.http.post("/process/execute", json=body).json()["result"] == "free\n"


def test_idle_sessions_cost_nothing(make_service: Any) -> None:
    """AC-46: a hundred of them and a follower, under 1 % of a core."""
    service = make_service()
    for number in range(100):
        session(service, f"s{number}")("true")
    command = session(service, "followed")("sleep 1000", wait=False)["cmdId"]
    path = f"/process/session/followed/command/{command}/logs?follow=true"
    ws = service.websocket(path, header=NEW)
    worker = service.workers()[0]

    def idle() -> bool:
        before, begun = cpu_seconds(worker), time.monotonic()
        threading.Event().wait(3)  # What is measured is that nothing happens.
        return cpu_seconds(worker) - before <= 0.01 * (time.monotonic() - begun) + 0.011

    # What was begun before may still be on its way; then it is quiet for good.
    eventually(idle, "quiet", 30)
    ws.close()
