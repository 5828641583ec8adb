"""``/x/jobs/{id}/stream``: a job's three streams both ways over one WebSocket."""

from __future__ import annotations

import array
import fcntl
import hashlib
import json
import os
import termios
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket
from toolbox_process.testing import eventually

from toolbox.testing import Service

CLOSE = websocket.ABNF.OPCODE_CLOSE
TEXT = websocket.ABNF.OPCODE_TEXT


def start(service: Service, **body: Any) -> str:
    answer = service.http.post("/x/jobs", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


opened: list[websocket.WebSocket] = []
"""Connections of the present test."""


@pytest.fixture(autouse=True)
def closing() -> Iterator[None]:
    yield
    while opened:
        opened.pop().shutdown()


class Stream:
    """A client of a stream."""

    def __init__(self, service: Service, job: str, query: str = "") -> None:
        self.ws = service.websocket(f"/x/jobs/{job}/stream{query}")
        opened.append(self.ws)
        self.out = {1: bytearray(), 2: bytearray()}
        self.opened = self.next()
        assert self.opened["type"] == "open"

    def next(self) -> Any:
        """The next text, or None at the close; bytes before it are in ``out``."""
        while True:
            opcode, data = self.ws.recv_data()
            if opcode == CLOSE:
                return None
            if opcode == TEXT:
                return json.loads(data)
            self.out[data[0]] += data[1:]

    def read(self, count: int) -> bytearray:
        """What has come of standard output once ``count`` bytes have."""
        while len(self.out[1]) < count:
            opcode, data = self.ws.recv_data()
            assert opcode == websocket.ABNF.OPCODE_BINARY, data
            self.out[data[0]] += data[1:]
        return self.out[1]

    def send(self, data: bytes) -> None:
        self.ws.send_binary(b"\0" + data)

    def control(self, **message: Any) -> None:
        self.ws.send(json.dumps(message))

    def end(self) -> Any:
        """The job as it has ended: the last text."""
        found = self.next()
        assert found["type"] == "exit", found
        assert self.next() is None
        return found["job"]


def test_both_ways(service: Service) -> None:
    stream = Stream(service, start(service, command="cat; echo e >&2; exit 3", stdin=True))
    assert (stream.opened["offset"], stream.opened["stdinOffset"]) == (0, 0)
    stream.send(b"a\0\xff")
    assert stream.read(3) == b"a\0\xff"
    stream.send(b"")
    stream.send("é".encode())
    stream.control(type="eof")
    job = stream.end()
    assert stream.out == {1: b"a\0\xff\xc3\xa9", 2: b"e\n"}
    assert (job["exitCode"], job["reason"], job["outputEnd"]) == (3, "exited", 7)


def test_resumed_by_offset(service: Service) -> None:
    """In both directions: nothing twice, nothing lost."""
    job = start(service, command="cat", stdin=True)
    first = Stream(service, job)
    first.send(b"0123456789")
    first.read(10)
    first.ws.sock.close()  # As a network that breaks.
    second = Stream(service, job, "?offset=4")
    assert (second.opened["offset"], second.opened["stdinOffset"]) == (4, 10)
    assert second.read(6) == b"456789"
    second.send(b"abc")
    assert second.read(9) == b"456789abc"
    second.control(type="eof")
    second.end()
    # A job that has ended is read in the same way.
    again = Stream(service, job, "?offset=10")
    again.end()
    assert again.out[1] == b"abc"


def test_a_signal(service: Service) -> None:
    command = "trap 'echo got; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
    stream = Stream(service, start(service, command=command))
    stream.read(6)
    stream.control(type="signal", signal="TERM")
    assert stream.end()["exitCode"] == 5
    assert stream.out[1] == b"ready\ngot\n"
    stream = Stream(service, start(service, command="sleep 1000; true"))
    stream.control(type="signal", signal=9, tree=True)
    assert stream.end()["reason"] == "signal"


def test_signals_of_a_client_that_does_not_read(service: Service) -> None:
    """They hold none of the threads that others need."""
    job = start(service, command="head -c 30000000 /dev/zero")
    service.http.get(f"/x/jobs/{job}/wait").raise_for_status()
    stream = Stream(service, job)
    received: list[int] = []

    def full() -> bool:
        """The client's buffer has not grown, so the errors below have to wait for it."""
        size = array.array("i", [0])
        fcntl.ioctl(stream.ws.sock.fileno(), termios.FIONREAD, size)
        received.append(size[0])
        return size[0] > 0 and received[-20:] == [size[0]] * 20

    eventually(full, "a client that is behind")
    for _ in range(100):
        stream.control(type="signal", signal="TERM")
    # The end of a service is dealt with in the background. Several, since the signals may take a
    # moment to arrive.
    for _ in range(10):
        service.http.put("/x/services/other", json={"command": "true", "restart": "never"})
        info = service.http.get("/x/services/other/wait?for=stopped&timeout=30").json()
        assert info["state"] == "stopped"
        service.http.delete("/x/services/other").raise_for_status()


def test_signals_keep_their_order(service: Service) -> None:
    """Also with what follows: a job that was stopped and continued goes on."""
    for _ in range(20):
        stream = Stream(service, start(service, command="cat", stdin=True))
        # To find all of them takes longer than to signal the first.
        stream.control(type="signal", signal="STOP", tree=True)
        stream.control(type="signal", signal="CONT")
        stream.send(b"x")
        stream.control(type="eof")
        assert stream.end()["exitCode"] == 0
        assert stream.out[1] == b"x"


def test_a_terminal(service: Service) -> None:
    command = "stty size; read x; stty size; echo $x"
    stream = Stream(service, start(service, command=command, pty={"rows": 5, "cols": 50}))
    assert stream.read(6) == b"5 50\r\n"
    stream.control(type="resize", rows=50, cols=100)
    stream.send(b"typed\n")
    assert stream.end()["exitCode"] == 0
    assert stream.out[1].endswith(b"50 100\r\ntyped\r\n")


@pytest.mark.parametrize(
    "message",
    [
        '{"type": "signal", "signal": "NONE"}',
        '{"type": "signal", "signal": 99999}',
        '{"type": "signal"}',
        '{"type": "resize", "rows": 0, "cols": 1}',
        '{"type": "resize", "rows": 10, "cols": 1}',
        '{"type": "resize"}',
        '{"type": "eof"}',
        '{"type": "other"}',
        '{"type": 1e999}',
        '{"type": "eof", "type": "eof"}',
        "{",
        "",
        "[" * 100_000,
        '"\\ud83d"',
    ],
)
def test_messages_that_mean_nothing(service: Service, message: str) -> None:
    """Each has its error, and the job goes on."""
    stream = Stream(service, start(service, command="echo alive; sleep 1000"))
    stream.ws.send(message)
    error = stream.next()
    assert error["type"] == "error"
    assert error["code"] in ("BAD_REQUEST", "CONFLICT")
    assert error["message"]
    stream.read(6)
    stream.control(type="signal", signal="KILL")
    assert stream.end()["exitCode"] == 137


def test_input_for_what_reads_none(service: Service) -> None:
    job = start(service, command="sleep 1000")
    stream = Stream(service, job)
    stream.send(b"x")
    assert stream.next()["code"] == "CONFLICT"
    stream.ws.send_binary(b"\1x")
    assert stream.next() is None
    service.http.delete(f"/x/jobs/{job}")
    stream = Stream(
        service, start(service, command="exec <&-; echo closed; sleep 1000", stdin=True)
    )
    stream.read(7)

    # With the first bytes it is noticed that nobody reads them.
    stream.send(b"x")
    stream.send(b"x")
    assert stream.next()["code"] == "COMMAND_ALREADY_COMPLETED"
    stream.control(type="signal", signal="KILL")


def test_input_waits_for_a_job_that_reads_slowly(service: Service) -> None:
    """In the client, not in our memory; and all of it arrives."""
    gate = service.work_dir / "gate"
    command = f"until [ -e {gate} ]; do sleep 0.05; done; sha256sum"
    stream = Stream(service, start(service, command=command, stdin=True))
    data = os.urandom(24 << 20)

    def send() -> None:
        for at in range(0, len(data), 100_000):
            stream.send(data[at : at + 100_000])
        stream.control(type="eof")

    sender = threading.Thread(target=send)
    sender.start()
    job = stream.opened["job"]["id"]
    # 256 KiB for the job, and what a few reads of the socket bring.
    counted: list[int] = []

    def has_come() -> bool:
        counted.append(Stream(service, job).opened["stdinOffset"])
        return counted[-1] > 256 << 10

    eventually(has_come, "the first input")
    assert counted[-1] < 4 << 20
    assert sender.is_alive()
    gate.touch()
    assert stream.end()["exitCode"] == 0
    sender.join()
    assert stream.out[1].split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_output_waits_for_a_client_that_reads_slowly(service: Service) -> None:
    """With ``flow=wait``; otherwise it is kept for the client."""
    size = 60_000_000
    gate = service.work_dir / "begin"
    command = f"until [ -e {gate} ]; do sleep 0.05; done; head -c {size} /dev/zero"
    waiting = start(service, command=command)
    stream = Stream(service, waiting, "?flow=wait")
    kept = start(service, command=command)
    other = Stream(service, kept)
    gate.touch()
    path = f"/x/jobs/{kept}/wait?timeout=50"
    assert service.http.get(path).json()["outputEnd"] == size
    held = service.http.get(f"/x/jobs/{waiting}").json()
    assert not held["done"]
    # What one client is behind, its socket's buffers included.
    assert held["outputEnd"] < size // 2
    for each in (stream, other):
        assert each.end()["exitCode"] == 0
        assert len(each.out[1]) == size


def test_a_client_that_leaves_lets_the_job_go_on(service: Service) -> None:
    job = start(service, command="head -c 60000000 /dev/zero", id="left-alone")
    Stream(service, job, "?flow=wait").ws.sock.close()
    info = service.http.get(f"/x/jobs/{job}/wait?timeout=50").json()
    assert (info["done"], info["outputEnd"]) == (True, 60_000_000)


def test_other_kinds_of_jobs(service: Service) -> None:
    """A terminal of the group takes input and a size; a session's command is followed."""
    service.http.post("/process/pty", json={"id": "streamed", "envs": {"PS1": ""}})
    jobs = service.http.get("/x/jobs").json()["jobs"]
    (terminal,) = [each["id"] for each in jobs if each["command"] == "streamed"]
    stream = Stream(service, terminal)
    stream.control(type="resize", rows=7, cols=70)
    stream.send(b"stty size; exit 6\n")
    assert stream.end()["exitCode"] == 6
    assert b"7 70\r\n" in stream.out[1]
    service.http.post("/process/session", json={"sessionId": "streamed"})
    command = service.http.post(
        "/process/session/streamed/exec", json={"command": "echo x; echo y >&2"}
    ).json()["cmdId"]
    stream = Stream(service, command)
    assert stream.end()["exitCode"] == 0
    assert stream.out == {1: b"x\n", 2: b"y\n"}
    with pytest.raises(websocket.WebSocketBadStatusException, match="400"):
        service.websocket(f"/x/jobs/{command}/stream?flow=wait")
    with pytest.raises(websocket.WebSocketBadStatusException, match="404"):
        service.websocket("/x/jobs/none/stream")
    service.http.delete("/process/session/streamed")


def test_a_gap_is_told(make_service: Any, tmp_path: Path) -> None:
    service = make_service(
        settings="[process.local]\noutput_memory = 4096\noutput_limit = 1048576\n"
    )
    job = start(service, command="head -c 5000000 /dev/zero")
    service.http.get(f"/x/jobs/{job}/wait?timeout=50")
    stream = Stream(service, job)
    gap = stream.next()
    assert gap["type"] == "gap"
    assert gap["offset"] == len(stream.out[1]) + gap["bytes"]
    stream.end()
    assert len(stream.out[1]) + gap["bytes"] == 5_000_000


def test_many_at_once(service: Service) -> None:
    job = start(service, command="cat", stdin=True)
    streams = [Stream(service, job) for _ in range(40)]
    for stream in streams:
        stream.send(b"x")
    for stream in streams:
        assert stream.read(40) == b"x" * 40
    streams[0].control(type="eof")
    for stream in streams:
        stream.end()
    eventually(lambda: service.http.get(f"/x/jobs/{job}").json()["done"], "the end")
