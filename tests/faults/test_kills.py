"""Processes that are killed: the worker under load, and every child at any moment."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import websocket

from toolbox.processes import descendants
from toolbox.testing import Service

SECONDS = float(os.environ.get("TOOLBOX_FAULTS_SECONDS", "6"))
CLIENTS = 12
SEARCH = 4

OLD = b"old " * 50_000
NEW = b"new " * 50_000


class Load:
    """Clients that go on whatever they are answered, which they note."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.answers: list[httpx.Response] = []
        self.broken: list[int] = []
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(number,)) for number in range(CLIENTS)
        ]

    def _work(self, number: int) -> None:
        with self.service.client(self.service.token) as client:
            for turn in range(1_000_000):
                if self._over.is_set():
                    return
                try:
                    self.answers.append(self._ask(client, number, turn))
                except httpx.TransportError:
                    self.broken.append((number + turn) % 7)

    @staticmethod
    def _ask(http: httpx.Client, number: int, turn: int) -> httpx.Response:
        kind = (number + turn) % 7
        session = f"s{number}"
        if kind == 0:
            return http.post("/process/execute", json={"command": "sleep 0.05; echo x"})
        if kind == 1:
            http.post("/process/session", json={"sessionId": session})
            body = {"command": "sleep 0.05; echo y"}
            return http.post(f"/process/session/{session}/exec", json=body)
        if kind == 2:
            return http.post("/files/upload-v2", params={"path": f"f{number}"}, content=NEW)
        if kind == 3:
            return http.post("/process/code-run", json={"language": "python", "code": "print(1)"})
        if kind == SEARCH:
            return http.get("/files/search", params={"path": "/usr/lib/python3", "pattern": "*.py"})
        if kind == 5:
            return http.get("/git/status", params={"path": "repository"})
        return http.post("/x/jobs", json={"command": "sleep 1000", "id": f"j{number}-{turn}"})

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def busy(make_service: Callable[..., Service], tmp_path: Path) -> Service:
    """A service at a home of its own, with temporary files of its own, and a repository."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    settings = f'[process.local]\nstate_dir = "{temporary}"\n'
    service = make_service(settings=settings, env={"HOME": str(tmp_path)})
    service.http.post("/git/init", json={"path": "repository"}).raise_for_status()
    for number in range(CLIENTS):
        (service.work_dir / f"f{number}").write_bytes(OLD)
    return service


def pick_up(service: Service) -> None:
    """Wait until it is ready, whoever serves."""

    def ready() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return service.http.get("/readyz").status_code == 200
        return False

    service.wait_for(ready, "readiness")


def closes(ws: websocket.WebSocket) -> bool:
    """Whether it comes to its end."""
    with contextlib.suppress(websocket.WebSocketException, OSError):
        while ws.recv_data(control_frame=True)[0] != websocket.ABNF.OPCODE_CLOSE:
            pass
    ws.close()
    return True


def test_the_worker_killed_under_load(busy: Service, capsys: pytest.CaptureFixture[str]) -> None:
    # AC-09, AC-16, AC-28, AC-45, AC-53
    temporary = busy.directory.parent / "temporary"
    http = busy.http
    http.post("/process/session", json={"sessionId": "kept"}).raise_for_status()
    body = {"command": "echo begun; sleep 1000", "runAsync": True}
    command = http.post("/process/session/kept/exec", json=body).json()["cmdId"]
    job = http.post("/x/jobs", json={"command": "setsid sleep 1001 & sleep 1000"}).json()["id"]
    http.post("/process/pty", json={"id": "kept"}).raise_for_status()
    terminal = busy.websocket("/process/pty/kept/connect")
    logs = busy.websocket(f"/process/session/kept/command/{command}/logs?follow=true")
    (worker,) = busy.workers()
    with Load(busy) as load:
        busy.wait_for(lambda: len(load.answers) > 4 * CLIENTS, "the load")
        before = set(descendants(busy.process.pid))
        began = time.monotonic()
        os.kill(worker, signal.SIGKILL)
        assert closes(terminal) and closes(logs)
        pick_up(busy)
        took = time.monotonic() - began
        answered = len(load.answers)
        busy.wait_for(lambda: len(load.answers) > answered + 4 * CLIENTS, "the load goes on")
    left = [pid for pid in before if Path(f"/proc/{pid}").exists()]
    assert not left, left
    assert load.broken
    for answer in load.answers:
        if answer.status_code >= 400:
            assert answer.json()["source"] == "DAYTONA_DAEMON"
            assert answer.status_code in (404, 409, 410, 503), answer.text
    # A file is the old one or the new one.
    for number in range(CLIENTS):
        assert (busy.work_dir / f"f{number}").read_bytes() in (OLD, NEW)
    # What a session's command has written is there, and that nobody saw its end.
    for path in ("kept", f"kept/command/{command}", f"kept/command/{command}/logs"):
        answer = http.get(f"/process/session/{path}")
        assert answer.status_code == 200
        assert answer.headers["X-Toolbox-End-Reason"] == "daemon-restart"
    assert answer.text == "begun\n"
    # F-E3: whoever polls for its exit code comes to an end that is no success.
    ended = http.get(f"/process/session/kept/command/{command}").json()
    assert ended["exitCode"] == -1
    # What is gone is told to be gone, and why.
    for path in (f"/x/jobs/{job}", "/process/pty/kept"):
        answer = http.get(path)
        assert answer.status_code == 404
        assert answer.headers["X-Toolbox-End-Reason"] == "daemon-restart"
        assert "restart" in answer.json()["message"]
    assert not list(temporary.glob(f"*-{worker}-*")), "files of the worker that is gone"
    assert http.post("/process/session", json={"sessionId": "kept"}).status_code == 201
    assert len(busy.workers()) == 1
    with capsys.disabled():
        print(
            f"\nready {took:.2f} s after the worker was killed; {len(load.broken)} requests broken"
        )


def kill_child(service: Service, pid: int, how: int) -> bool:
    """Send a signal to a child of the service, and never to another that has its pid by now."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if pid not in descendants(service.process.pid):
            return False
        signal.pidfd_send_signal(fd, how)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def test_every_child_killed_at_any_moment(busy: Service) -> None:
    # AC-08, AC-09
    (worker,) = busy.workers()
    keep = {busy.process.pid, worker}
    chance = random.Random(10)
    killed = 0
    with Load(busy) as load:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            for pid in sorted(set(descendants(busy.process.pid)) - keep):
                if chance.random() < 0.3:
                    how = chance.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
                    killed += kill_child(busy, pid, how)
            time.sleep(chance.random() / 20)
    assert killed > CLIENTS
    # Findings are sent as they are found: if who finds them is killed, the answer breaks off.
    assert set(load.broken) <= {SEARCH}
    for answer in load.answers:
        if answer.status_code >= 400:
            assert answer.json()["source"] == "DAYTONA_DAEMON"
            assert answer.status_code != 500 or answer.json()["code"] != "INTERNAL_SERVER_ERROR"
    assert busy.workers() == [worker]
    answer = busy.http.post("/process/execute", json={"command": "echo well"})
    assert answer.json() == {"exitCode": 0, "result": "well\n"}
    for each in busy.http.get("/x/jobs").json()["jobs"]:
        busy.http.delete(f"/x/jobs/{each['id']}")
    for each in busy.http.get("/process/session").json():
        busy.http.delete(f"/process/session/{each['sessionId']}").raise_for_status()
    busy.wait_for(lambda: not set(descendants(busy.process.pid)) - keep, "the end of all children")
    print(busy.log())
    log = busy.log()
    assert log.count("Traceback") == log.count("ToolboxError: the search helper exited"), log
