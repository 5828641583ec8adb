"""Many clients of every group at once, and hundreds of open WebSockets: nothing is lost, nothing
fails that was not asked to, and afterwards the service is what it was before.

``TOOLBOX_FAULTS_SECONDS`` is how long the clients go on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest
import websocket

from toolbox.processes import descendants
from toolbox.testing import DEADLINE
from toolbox.testing import Service
from toolbox.testing import ending

from .workload import Client
from .workload import go
from .workload import memory
from .workload import open_files
from .workload import together

SECONDS = float(os.environ.get("TOOLBOX_FAULTS_SECONDS", "30"))
CLIENTS = 64
TERMINALS = 60
FOLLOWERS = 400
INTERPRETERS = 40
NEW = ["X-Daytona-SDK-Version: 0.226.1"]

KEPT = 200
"""Finished jobs of each kind that are kept, and as many of each session's commands: few, so that
there soon are as many as ever will be, and enough that none goes before its client has read it.
"""

MEGABYTE = 1 << 20
ROOM = 64 * MEGABYTE
"""What memory may have grown by: it is given back in part only, as the heap has holes."""


class Health:
    """Somebody who asks all the time whether the service is alive: another process, since the
    threads of this one wait for each other.
    """

    PROGRAM = """
import http.client, sys, time
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=60)
times = []
print("begins", flush=True)
end = None
while not end or time.monotonic() < end:
    began = time.monotonic()
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200
    times.append(time.monotonic() - began)
    end = end or began + float(sys.argv[2])
    time.sleep(0.005)
print(len(times), sorted(times)[len(times) * 99 // 100])
"""

    def __init__(self, service: Service, seconds: float) -> None:
        command = [sys.executable, "-c", self.PROGRAM, str(service.port), str(seconds)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "begins\n"

    def finish(self) -> str:
        """What it has seen."""
        with ending(self._process):
            output, _ = self._process.communicate(timeout=DEADLINE)
        assert self._process.returncode == 0
        count, p99 = output.split()
        return f"/healthz p99 {float(p99) * 1e3:.1f} ms of {count}"


class Sockets:
    """Hundreds of WebSockets that stay open: terminals, followers of logs, interpreters."""

    def __init__(self, service: Service, share: float = 1) -> None:
        http = service.http
        http.post("/process/session", json={"sessionId": "followed"}).raise_for_status()
        # It waits for a line, writes all of it was told to, and ends.
        command = "read line; seq 20000; echo $line"
        body = {"command": command, "runAsync": True, "suppressInputEcho": True}
        answer = http.post("/process/session/followed/exec", json=body)
        self.service = service
        self.command = f"/process/session/followed/command/{answer.json()['cmdId']}"
        follow = f"{self.command}/logs?follow=true"
        self.followers = [
            service.websocket(follow, header=NEW) for _ in range(int(FOLLOWERS * share))
        ]
        self.interpreters = [
            service.websocket("/process/interpreter/execute")
            for _ in range(int(INTERPRETERS * share))
        ]
        self.go = service.work_dir / "go"
        # At once: a socket that sends no code is closed after half a minute.
        for number, ws in enumerate(self.interpreters):
            waits = f"while not os.path.exists({str(self.go)!r}): time.sleep(0.05)"
            code = f"import os, time\n{waits}\nprint({number} * 7)"
            ws.send(json.dumps({"code": code}))
        self.terminals = []
        for number in range(int(TERMINALS * share)):
            http.post("/process/pty", json={"id": f"t{number}"}).raise_for_status()
            self.terminals.append(service.websocket(f"/process/pty/t{number}/connect"))

    def __len__(self) -> int:
        return len(self.followers) + len(self.interpreters) + len(self.terminals)

    def finish(self) -> None:
        """Each is asked for what it was opened for, and must give all of it."""
        self.go.touch()
        for number, ws in enumerate(self.terminals):
            ws.send_binary(f"echo $((1000 + {number}))-end\r".encode())
        body = {"data": "last"}
        self.service.http.post(f"{self.command}/input", json=body).raise_for_status()
        expected = b"".join(b"%d\n" % number for number in range(1, 20001)) + b"last\n"
        for ws in self.followers:
            assert b"".join(pieces(ws)) == expected
        for number, ws in enumerate(self.interpreters):
            events = [json.loads(data) for data in messages(ws)]
            text = "".join(each["text"] for each in events if each["type"] == "stdout")
            assert text == f"{number * 7}\n"
        self.go.unlink()
        for number, ws in enumerate(self.terminals):
            seen = b""
            while f"{1000 + number}-end".encode() not in seen:
                data = ws.recv()
                seen += data if isinstance(data, bytes) else data.encode()
            ws.close()
            self.service.http.delete(f"/process/pty/t{number}").raise_for_status()
        self.service.http.delete("/process/session/followed").raise_for_status()


def messages(ws: websocket.WebSocket) -> Iterator[bytes]:
    """Every message up to the close."""
    while True:
        opcode, data = ws.recv_data(control_frame=True)
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            ws.close()
            return
        if opcode in (websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY):
            yield data


def pieces(ws: websocket.WebSocket) -> Iterator[bytes]:
    """The standard output in a marked log."""
    for data in messages(ws):
        assert data[:3] == b"\1\1\1"
        yield data[3:]


@pytest.fixture
def quiet(make_service: Callable[..., Service], tmp_path: Path) -> Service:
    """A service at a home without startup files."""
    local = f"keep_jobs = {KEPT}\nmax_followers = 500\n"
    settings = f"[websocket]\nmax_sockets = 2000\n[process.local]\n{local}"
    return make_service(settings=settings, env={"HOME": str(tmp_path), "PS1": "$ "})


@pytest.mark.timeout(int(4 * SECONDS + 180))
def test_everything_at_once_and_as_before_afterwards(
    quiet: Service, application: int, capsys: pytest.CaptureFixture[str]
) -> None:
    # AC-10, AC-20, AC-27, AC-45, AC-94
    (worker,) = quiet.workers()
    warm = [Client(quiet, number, application) for number in range(100, 100 + CLIENTS // 2)]
    together(Client.prepare, [(each,) for each in warm])
    _, failures = go(warm, 2)
    assert not failures, failures[0]
    together(Client.clean_up, [(each,) for each in warm])
    Sockets(quiet, 0.25).finish()
    before, files = memory(worker), open_files(worker)
    running = len(descendants(quiet.process.pid))

    sockets = Sockets(quiet)
    clients = [Client(quiet, number, application) for number in range(CLIENTS)]
    together(Client.prepare, [(each,) for each in clients])
    health = Health(quiet, SECONDS)
    done, failures = go(clients, SECONDS)
    seen = health.finish()
    assert not failures, failures[0]
    together(Client.clean_up, [(each,) for each in clients])
    opened = len(sockets)
    sockets.finish()

    quiet.wait_for(lambda: open_files(worker) <= files + 16 + KEPT, "the descriptors' return")
    quiet.wait_for(lambda: memory(worker) <= before + ROOM, "the memory's return")
    quiet.wait_for(lambda: len(descendants(quiet.process.pid)) <= running, "their end")
    with capsys.disabled():
        print(
            f"\n{done} operations by {CLIENTS} clients beside {opened} WebSockets;"
            f" {seen};"
            f" memory {before / 1e6:.0f} -> {memory(worker) / 1e6:.0f} MB,"
            f" descriptors {files} -> {open_files(worker)}",
            file=sys.stderr,
        )
    assert done > CLIENTS
    assert "Traceback" not in quiet.log()
