"""An upgrade in place: what runs goes on, and no byte of it is lost."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import websocket

from toolbox.handover.report import read_report
from toolbox.testing import DEADLINE
from toolbox.testing import Service

SETTINGS = """
[server]
shutdown_timeout = 2
[plugins]
enable = ["process", "files", "server"]
[process.local]
grace = 0.2
"""

MakeService = Callable[..., Service]

COUNT = "for i in $(seq 1 100000); do echo $i; [ -f %s ] && exit 7; sleep 0.1; done"


def report(service: Service) -> dict[str, Any]:
    return read_report(service.process.pid) or {}


def is_over(service: Service, number: int) -> bool:
    found = report(service)
    return found.get("number") == number and found["state"] in ("done", "failed")


def reload(service: Service) -> dict[str, Any]:
    number = report(service)["number"] + 1
    os.kill(service.process.pid, signal.SIGUSR2)
    service.wait_for(lambda: is_over(service, number), "the upgrade")
    return report(service)


def command_line(service: Service, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "toolbox", "reload", *options, "--pid", str(service.process.pid)],
        capture_output=True,
        text=True,
        timeout=DEADLINE * 5,
    )


def start_job(service: Service, command: str, **more: object) -> str:
    job: str = service.http.post("/x/jobs", json={"command": command, **more}).json()["id"]
    return job


def job(service: Service, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = service.http.get(f"/x/jobs/{job_id}").json()
    return found


def ended(service: Service, job_id: str) -> dict[str, Any]:
    service.wait_for(lambda: job(service, job_id)["done"], "the end of a job")
    return job(service, job_id)


def output(service: Service, job_id: str) -> bytes:
    found, offset = b"", 0
    while True:
        answer = service.http.get(f"/x/jobs/{job_id}/output", params={"offset": offset}).json()
        pieces = answer["pieces"]
        if not pieces:
            return found
        for piece in pieces:
            data = base64.b64decode(piece["data"])
            assert piece["offset"] == offset, "a gap"
            found, offset = found + data, offset + len(data)


def numbers(data: bytes) -> list[int]:
    return [int(word) for word in data.split()]


def read_until(ws: websocket.WebSocket, text: bytes) -> bytes:
    found = b""
    while text not in found:
        message = ws.recv()
        found += message if isinstance(message, bytes) else b""
    return found


def close_code(ws: websocket.WebSocket) -> int:
    while True:
        opcode, frame = ws.recv_data_frame(control_frame=True)
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return int.from_bytes(frame.data[:2], "big")


class Slow:
    """An upload whose second half is sent when :meth:`finish` is called."""

    def __init__(self, service: Service, path: Path) -> None:
        self.sock = socket.create_connection(("127.0.0.1", service.port), DEADLINE)
        self.sock.sendall(
            f"POST /files/upload-v2?path={path} HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {service.token}\r\nContent-Length: 20\r\n\r\n".encode()
            + b"0123456789"
        )

    def finish(self) -> None:
        self.sock.sendall(b"0123456789")

    def status(self) -> bytes:
        with self.sock:
            return self.sock.recv(4096).split(b" ")[1]


def test_everything_goes_on_under_load(make_service: MakeService, tmp_path: Path) -> None:
    service = make_service(settings=SETTINGS)
    stop = tmp_path / "stop"
    counting = [start_job(service, COUNT % stop) for _ in range(20)]
    reading = start_job(service, "cat; exit 3", stdin=True)
    limited = start_job(service, "echo begun; sleep 1000", timeout=600)
    over = start_job(service, "echo before; exit 4")
    filed = tmp_path / "filed"
    counting.append(
        start_job(
            service,
            COUNT % stop,
            outputFile=str(filed),
            limits={"memory": 1 << 30},
            timeout=1000,
        )
    )
    on_terminal = start_job(service, "read -r line; echo got $line", pty={"rows": 30, "cols": 99})
    ended(service, over)
    orphan = start_job(service, "(sleep 1; echo late) & exit 5")
    ended(service, orphan)
    for name in "abcde":
        service.http.post("/process/pty", json={"id": name}).raise_for_status()
    clients = {name: service.websocket(f"/process/pty/{name}/connect?offset=0") for name in "abcde"}
    for name, ws in clients.items():
        ws.send_binary(f"NAME={name}; echo here-$NAME; {COUNT % stop}\r".encode())
        read_until(ws, f"here-{name}\r".encode())
    service.http.post("/process/pty", json={"id": "lazy", "lazyStart": True})
    session = "/process/session/s"
    service.http.post("/process/session", json={"sessionId": "s"})
    service.http.post(f"{session}/exec", json={"command": "KEPT=5; cd /"})
    run = {"runAsync": True, "command": COUNT.replace("exit 7", "break") % stop}
    command = service.http.post(f"{session}/exec", json=run).json()["cmdId"]
    run = {"runAsync": True, "command": "echo $KEPT $PWD; read line; echo got $line"}
    queued = service.http.post(f"{session}/exec", json=run).json()["cmdId"]
    service.http.post(f"{session}/command/{queued}/input", json={"data": "early"})
    follower = service.websocket(f"{session}/command/{command}/logs?follow=true")
    follower.recv()
    uploads = [Slow(service, tmp_path / name) for name in ("quick", "stalled")]
    waiting: list[Any] = []
    waiter = threading.Thread(
        target=lambda: waiting.append(
            service.http.post(
                "/process/execute", json={"command": f"echo x; {COUNT % stop}", "timeout": 900}
            )
        )
    )
    waiter.start()
    service.wait_for(lambda: len(service.http.get("/x/jobs?kind=execute").json()) > 0, "execute")
    pids = {name: job(service, name)["pid"] for name in (*counting, reading, limited)}
    workers = service.workers()

    number = report(service)["number"] + 1
    os.kill(service.process.pid, signal.SIGUSR2)
    service.wait_for(lambda: report(service)["number"] == number, "the beginning")
    uploads[0].finish()
    for ws in (*clients.values(), follower):
        assert close_code(ws) == 1012
        ws.close()
    service.wait_for(lambda: is_over(service, number), "the upgrade")

    found = report(service)
    assert found["state"] == "done" and found["ended"] == [], service.log()
    assert found["counts"]["jobs"] == 25 and found["counts"]["terminals"] == 6
    assert not set(service.workers()) & set(workers)
    assert uploads[0].status() == b"200"
    assert uploads[1].status() == b"503"
    assert not (tmp_path / "stalled").exists()
    waiter.join()
    assert waiting[0].status_code == 503 and "Retry-After" in waiting[0].headers
    executed = waiting[0].json()["message"].rpartition(" ")[2]
    assert job(service, executed)["pid"]

    assert {name: job(service, name)["pid"] for name in pids} == pids
    service.http.post(f"/x/jobs/{reading}/stdin", content=b"after")
    service.http.post(f"/x/jobs/{reading}/stdin?eof=true", content=b"")
    again = {name: service.websocket(f"/process/pty/{name}/connect?offset=0") for name in "abcde"}
    stop.touch()
    for each in (*counting, executed):
        end = ended(service, each)
        assert (end["exitCode"], end["reason"]) == (7, "exited")
    for each in counting:
        got = numbers(output(service, each))
        assert got == list(range(1, len(got) + 1))
    assert numbers(filed.read_bytes()) == numbers(output(service, counting[-1]))
    service.http.post(f"/x/jobs/{on_terminal}/stdin", content=b"text\n")
    assert ended(service, on_terminal)["exitCode"] == 0
    assert b"got text" in output(service, on_terminal)
    assert job(service, over)["exitCode"] == 4 and output(service, over) == b"before\n"
    service.wait_for(lambda: output(service, orphan) == b"late\n", "what runs in the background")
    for name, ws in again.items():
        text = b""
        service.wait_for(partial(ended_terminal, service, name), "the end of a shell")
        while True:
            opcode, frame = ws.recv_data_frame(control_frame=True)
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                break
            text += frame.data if opcode == websocket.ABNF.OPCODE_BINARY else b""
        ws.close()
        lines = text[text.index(f"here-{name}\r\n".encode()) :].split(b"\r\n")[1:]
        got = [int(line) for line in lines if line.isdigit()]
        assert got == list(range(1, len(got) + 1)), name
    assert service.http.get("/process/pty/lazy").json()["active"] is False
    path = f"{session}/command/{queued}"
    service.wait_for(lambda: service.http.get(path).json().get("exitCode") == 0, "the queue")
    assert "5 /\n" in service.http.get(f"{path}/logs").text
    assert "got early\n" in service.http.get(f"{path}/logs").text
    log = service.http.get(f"{session}/command/{command}/logs").text
    assert numbers(log.encode()) == list(range(1, len(log.split()) + 1))
    assert ended(service, reading)["exitCode"] == 3 and output(service, reading) == b"after"
    assert service.http.delete(f"/x/jobs/{limited}").is_success
    assert job(service, limited)["reason"] == "cancelled"


def ended_terminal(service: Service, name: str) -> bool:
    return name not in [each["id"] for each in service.http.get("/process/pty").json()["sessions"]]


def test_a_version_that_fails_changes_nothing(make_service: MakeService) -> None:
    service = make_service(settings=SETTINGS)
    running = start_job(service, "exec sleep 1000")
    workers, pid = service.workers(), job(service, running)["pid"]
    settings = service.directory / "toolbox.toml"
    right = settings.read_text()
    settings.write_text(right.replace("grace = 0.2", 'grace = "long"'))
    failed = command_line(service)
    assert failed.returncode == 1
    assert "process.local.grace" in failed.stderr and "nothing is changed" in failed.stderr
    assert service.workers() == workers and job(service, running)["pid"] == pid

    # With the right settings again; a second signal in the middle makes it run twice.
    settings.write_text(right.replace("grace = 0.2", "grace = 0.3"))
    service.http.post("/process/interpreter/context", json={}).raise_for_status()
    number = report(service)["number"]
    os.kill(service.process.pid, signal.SIGUSR2)
    service.wait_for(lambda: report(service)["state"] == "checking", "the check")
    done = command_line(service)
    assert done.returncode == 0, done.stderr
    assert "going on: 1 jobs" in done.stdout
    assert report(service)["number"] == number + 2
    assert job(service, running)["pid"] == pid
    assert len(service.workers()) == 1


def test_secrets_and_listeners_stay(make_service: MakeService, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("first-token-123\n")
    path = tmp_path / "service.sock"
    service = make_service(
        "--token-file", str(secret), "--also", f"unix:{path}", settings=SETTINGS, token=None
    )
    with service.client("first-token-123") as client:
        client.post("/init", json={"token": "second-token-123"}).raise_for_status()
    assert reload(service)["state"] == "done"
    with service.client("second-token-123") as client:
        assert client.get("/x/jobs").is_success
    with service.client("first-token-123") as client:
        assert client.get("/x/jobs").status_code == 401
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        sock.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert b" 200 " in sock.recv(4096)
    # The master still shares them with its worker.
    secret.write_text("third-token-123\n")
    os.kill(service.process.pid, signal.SIGHUP)
    with service.client("third-token-123") as client:
        service.wait_for(lambda: client.get("/x/jobs").is_success, "the new token")
    # The unit of systemd asks for both in one command.
    secret.write_text("fourth-token-123\n")
    done = command_line(service, "--secrets")
    assert done.returncode == 0, done.stderr
    with service.client("fourth-token-123") as client:
        assert client.get("/x/jobs").is_success
    assert service.stop() == 0
    assert not path.exists()


def test_the_old_worker_is_killed_in_the_middle(make_service: MakeService) -> None:
    service = make_service(settings=SETTINGS)
    running = start_job(service, "exec sleep 1000")
    pid, (worker,) = job(service, running)["pid"], service.workers()
    os.kill(service.process.pid, signal.SIGUSR2)
    service.wait_for(lambda: report(service)["state"] == "starting", "the new version")
    os.kill(worker, signal.SIGKILL)
    # As without an upgrade: what ran in it has ended, and a new worker serves.
    service.wait_for(lambda: is_over(service, 1), "the report")
    assert report(service)["state"] == "failed"
    service.wait_for(lambda: not Path(f"/proc/{pid}").exists(), "the end of the job")
    service.wait_for(lambda: len(service.workers()) == 1, "one worker")
    answer = service.http.get(f"/x/jobs/{running}")
    assert answer.status_code == 404 and "restarted" in answer.text
    assert reload(service)["state"] == "done"


def test_the_new_worker_is_killed_in_the_middle(make_service: MakeService) -> None:
    """Until it has everything the old one goes on."""
    service = make_service(settings=SETTINGS)
    running = start_job(service, "exec sleep 1000")
    pid, workers = job(service, running)["pid"], service.workers()
    os.kill(service.process.pid, signal.SIGUSR2)

    def is_killed() -> bool:
        new = [worker for worker in service.workers() if worker not in workers]
        if report(service).get("state") != "starting" or not new:
            return False
        with suppress(ProcessLookupError):
            os.kill(new[0], signal.SIGKILL)
            return True
        return False

    service.wait_for(is_killed, "the new worker")
    service.wait_for(lambda: is_over(service, 1), "the report")
    assert report(service)["state"] == "failed"
    assert "the old worker goes on" in report(service)["reason"]
    assert (service.workers(), job(service, running)["pid"]) == (workers, pid)
    assert reload(service)["state"] == "done"
    assert job(service, running)["pid"] == pid


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_full_disk_hinders_no_upgrade(make_service: MakeService, tmp_path: Path) -> None:
    small, stop = tmp_path / "small", tmp_path / "stop"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", small], check=True)
    try:
        settings = f'{SETTINGS}state_dir = "{small}/state"\n'
        service = make_service(settings=settings, env={"TMPDIR": str(small)})
        counting = start_job(service, COUNT % stop)
        service.http.post("/process/session", json={"sessionId": "s"}).raise_for_status()
        run = {"command": COUNT.replace("exit 7", "break") % stop, "runAsync": True}
        command = service.http.post("/process/session/s/exec", json=run).json()["cmdId"]
        path = f"/process/session/s/command/{command}"
        # Without room it could not be started, which its log would say.
        service.wait_for(lambda: service.http.get(f"{path}/logs").text, "its start")
        with suppress(OSError), (small / "filler").open("ab", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass
        assert reload(service)["state"] == "done"
        stop.touch()
        assert ended(service, counting)["exitCode"] == 7
        service.wait_for(lambda: "exitCode" in service.http.get(path).json(), "its end")
        assert service.http.get(path).json()["exitCode"] == 0
        texts = output(service, counting), service.http.get(f"{path}/logs").content
        for got in map(numbers, texts):
            assert got == list(range(1, len(got) + 1))
        assert service.stop() == 0
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def test_a_stop_in_the_middle(make_service: MakeService) -> None:
    service = make_service(settings=SETTINGS)
    start_job(service, "exec sleep 1000")
    os.kill(service.process.pid, signal.SIGUSR2)
    service.wait_for(lambda: report(service).get("state") == "starting", "the new version")
    assert service.stop() == 0  # Which fails if anything is left.
