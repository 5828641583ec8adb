"""The service is stopped for longer than any of its time-outs, and goes on as if nothing was."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from functools import partial

import httpx
import pytest
import websocket

from toolbox.processes import descendants
from toolbox.serving.arbiter import is_stopped
from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN
from toolbox.testing import Service

TIMEOUT = 4
SETTINGS = f"""
[server]
hang_timeout = {TIMEOUT}
stall_timeout = {TIMEOUT}
header_timeout = {TIMEOUT}
keep_alive = {TIMEOUT}
[websocket]
ping_interval = 1.0
dead_after = {TIMEOUT}.0
"""
"""Every time-out short, so that a pause of seconds is what one of minutes would be."""

PAUSE = 2.5 * TIMEOUT


@pytest.fixture
def hasty(make_service: Callable[..., Service]) -> Service:
    return make_service(settings=SETTINGS, env={"PS1": "$ "})


@contextlib.contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """In the block ``pids`` are stopped, in their order, and then go on the other way round."""
    try:
        for pid in pids:
            send(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in reversed(pids):
            send(pid, signal.SIGCONT)


def send(pid: int, sig: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # A program of a moment.
        os.kill(pid, sig)


class Life:
    """Twenty jobs, five sessions, five terminals with clients, a follower of a log, an upload, an
    idle connection: whatever a pause could cost.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        http = service.http
        self.go = service.work_dir / "go"
        wait = f"while [ ! -e {self.go} ]; do sleep 0.05; done"
        self.jobs = [
            http.post("/x/jobs", json={"command": f"{wait}; echo job-{n}"}).json()["id"]
            for n in range(20)
        ]
        self.commands = []
        for n in range(5):
            name = f"s{n}"
            http.post("/process/session", json={"sessionId": name}).raise_for_status()
            body = {"command": f"X={n}; {wait}; echo said-$X", "runAsync": True}
            answer = http.post(f"/process/session/{name}/exec", json=body).json()
            self.commands.append(f"/process/session/{name}/command/{answer['cmdId']}")
        self.terminals = []
        for n in range(5):
            http.post("/process/pty", json={"id": f"t{n}"}).raise_for_status()
            self.terminals.append(service.websocket(f"/process/pty/t{n}/connect"))
        self.follower = service.websocket(f"{self.commands[0]}/logs?follow=true")
        self.upload = socket.create_connection(("127.0.0.1", service.port), DEADLINE)
        self.upload.sendall(
            b"POST /files/upload-v2?path=slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
            b"Authorization: Bearer " + TOKEN.encode() + b"\r\nConnection: close\r\n\r\n1"
        )
        self.head = socket.create_connection(("127.0.0.1", service.port), DEADLINE)
        self.head.sendall(b"GET /healthz HTTP/1.1\r\n")
        self.waiting = threading.Thread(target=self._execute)
        self.result: dict[str, object] = {}
        self.waiting.start()

    def _execute(self) -> None:
        # Its own time-out, too, is of the time in which it could run.
        command = f"while [ ! -e {self.go} ]; do sleep 0.05; done; echo done"
        body = {"command": command, "timeout": int(PAUSE) - 1}
        with self.service.client(TOKEN) as client:
            self.result = client.post("/process/execute", json=body).json()

    def _has_ended(self, command: str) -> bool:
        return "exitCode" in self.service.http.get(command).json()

    def go_on(self) -> None:
        """Everybody gets what they wait for."""
        http = self.service.http
        self.upload.sendall(b"2")
        assert self.upload.recv(65536).startswith(b"HTTP/1.1 200 ")
        self.upload.close()
        self.head.sendall(b"Host: localhost\r\nConnection: close\r\n\r\n")
        assert self.head.recv(65536).startswith(b"HTTP/1.1 200 ")
        self.head.close()
        self.go.touch()
        for n, job in enumerate(self.jobs):
            ended = http.get(f"/x/jobs/{job}/wait?timeout=60").json()
            assert (ended["exitCode"], ended["reason"]) == (0, "exited"), ended
            (piece,) = http.get(f"/x/jobs/{job}/output").json()["pieces"]
            assert base64.b64decode(piece["data"]) == f"job-{n}\n".encode()
        for n, command in enumerate(self.commands):
            self.service.wait_for(partial(self._has_ended, command), "its end")
            assert f"said-{n}" in http.get(f"{command}/logs").text
            session = command.split("/")[3]
            answer = http.post(f"/process/session/{session}/exec", json={"command": "echo $X"})
            assert str(n) in answer.text
        for n, ws in enumerate(self.terminals):
            ws.send_binary(f"echo $((1000 + {n}))-end\r".encode())
            assert f"{1000 + n}-end" in until(ws, f"{1000 + n}-end")
            ws.close()
        assert "said-0" in until(self.follower, "said-0")
        self.follower.close()
        self.waiting.join(DEADLINE)
        assert self.result["result"] == "done\n"


def until(ws: websocket.WebSocket, text: str) -> str:
    seen = ""
    while text not in seen:
        data = ws.recv()
        seen += data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    return seen


def test_a_pause_of_everything_costs_nothing(hasty: Service) -> None:
    """F-A4: docker pause, a frozen sandbox."""
    (worker,) = hasty.workers()
    life = Life(hasty)
    everybody = [hasty.process.pid, *descendants(hasty.process.pid)]
    with stopped(*everybody):
        time.sleep(PAUSE)  # It is what is tested.
    assert hasty.http.get("/readyz").status_code == 200
    life.go_on()
    assert hasty.workers() == [worker]
    assert "WORKER TIMEOUT" not in hasty.log()


def test_a_worker_that_is_stopped_alone_does_not_hang(hasty: Service) -> None:
    """F-A4: a debugger, or a signal to the wrong process."""
    (worker,) = hasty.workers()
    hasty.http.post("/process/session", json={"sessionId": "s"}).raise_for_status()
    with stopped(worker):
        hasty.wait_for(lambda: is_stopped(worker), "the stop")
        time.sleep(TIMEOUT + 2)  # The master has looked, and seen that it is late.
    assert hasty.http.get("/process/session/s").status_code == 200
    assert hasty.workers() == [worker]


def test_a_worker_that_hangs_is_replaced(
    toy_service: Callable[..., Service],
) -> None:
    """The other side of F-A4: it is forgiven what is no fault of its own, and nothing else."""
    service = toy_service("faulty", settings="[server]\nhang_timeout = 2\n")
    (worker,) = service.workers()
    with pytest.raises(httpx.TransportError):
        service.http.get("/faulty/hang")
    service.wait_for(lambda: service.workers() not in ([], [worker]), "another worker")
    assert "WORKER TIMEOUT" in service.log()
