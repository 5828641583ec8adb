"""A wall clock that jumps, as that of a sandbox does that was frozen: nothing waits by it."""

from __future__ import annotations

import concurrent.futures
import shutil
import struct
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
import websocket

from toolbox.testing import Service

SOURCE = Path(__file__).with_name("jumping_clock.c")
DAY = 86400


class Clock:
    """What a service takes for the time of day: the machine's, and :meth:`jump` seconds more."""

    def __init__(self, directory: Path) -> None:
        library, self._file = directory / "jumping_clock.so", directory / "clock"
        command = ["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE)]
        subprocess.run(command, check=True, capture_output=True)
        self.env = {"LD_PRELOAD": str(library), "JUMPING_CLOCK": str(self._file)}
        self.jump(0)

    def jump(self, seconds: int) -> None:
        """Set it to the machine's time and ``seconds`` more."""
        self._file.touch()
        with self._file.open("r+b", buffering=0) as file:
            file.write(struct.pack("q", seconds))


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed (Debian: g++, which has the headers of libc, too)")
    return Clock(tmp_path)


def ahead(service: Service) -> float:
    """Seconds the service's clock is ahead of ours, by what an error is dated."""
    told = service.http.get("/nowhere").json()["timestamp"]
    return datetime.fromisoformat(told).timestamp() - time.time()


def read_until(ws: websocket.WebSocket, wanted: bytes) -> None:
    seen = b""
    while wanted not in seen:
        data = ws.recv()
        seen += data if isinstance(data, bytes) else data.encode()


@pytest.mark.parametrize("days", [3, -3])
def test_a_jump_of_the_clock_changes_nothing(
    make_service: Callable[..., Service], clock: Clock, days: int
) -> None:
    # AC-43
    service = make_service(env=clock.env)
    (worker,) = service.workers()
    http = service.http
    kept = http.post("/x/jobs", json={"command": "echo kept"}).json()["id"]
    assert http.get(f"/x/jobs/{kept}/wait").json()["done"]
    http.post("/process/session", json={"sessionId": "s"}).raise_for_status()
    body = {"command": "while [ ! -e go ]; do sleep 0.05; done; echo gone", "runAsync": True}
    command = http.post("/process/session/s/exec", json=body).json()["cmdId"]
    follower = service.websocket(f"/process/session/s/command/{command}/logs?follow=true")
    http.post("/process/pty", json={"id": "p"}).raise_for_status()
    terminal = service.websocket("/process/pty/p/connect")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        body = {"command": "touch begun; sleep 1000", "timeout": 4}
        late = pool.submit(http.post, "/process/execute", json=body)
        service.wait_for((service.work_dir / "begun").exists, "the command")
        for seconds in (days * DAY, 0):
            clock.jump(seconds)
            assert abs(ahead(service) - seconds) < 600
            assert http.get("/readyz").status_code == 200
            answer = http.post("/process/execute", json={"command": "date +%s", "timeout": 60})
            assert abs(int(answer.json()["result"]) - time.time() - seconds) < 600
            assert http.get(f"/x/jobs/{kept}").json()["done"]
            assert [each["sessionId"] for each in http.get("/process/session").json()] == ["s"]
            terminal.send_binary(b"echo $((40 + 2))-here\r")
            read_until(terminal, b"42-here")
        assert late.result().status_code == 408
    (service.work_dir / "go").touch()
    read_until(follower, b"gone\n")
    follower.close()
    terminal.close()
    assert service.workers() == [worker]
    assert "Traceback" not in service.log()
