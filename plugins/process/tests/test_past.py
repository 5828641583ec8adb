"""Sessions of a worker that was killed: what is kept of them, and for how long."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import websocket
from toolbox_process.engine.ends import Reason
from toolbox_process.engine.journals.command import Journal
from toolbox_process.engine.journals.session import FILE
from toolbox_process.engine.journals.session import LIMIT
from toolbox_process.engine.journals.session import LOST
from toolbox_process.engine.journals.session import Journals
from toolbox_process.engine.pipe_reader import WIDE
from toolbox_process.engine.spool import ERR
from toolbox_process.engine.spool import OUT
from toolbox_process.engine.spool import Spool
from toolbox_process.engine.state import StateDirectory
from toolbox_process.sessions.replaying import read_heads
from toolbox_process.sessions.replaying import replay

from toolbox.testing import Service

NEW = {"X-Daytona-SDK-Version": "0.226.1"}
REASON = "X-Toolbox-End-Reason"
BINARY = bytes(range(256))


def kill_worker(service: Service) -> None:
    """Kill it and wait for the next one."""
    (worker,) = service.workers()
    os.kill(worker, signal.SIGKILL)

    def replaced() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return (
                worker not in service.workers() and service.http.get("/readyz").status_code == 200
            )
        return False

    service.wait_for(replaced, "the next worker")


def run(service: Service, session: str, command: str, **more: Any) -> Any:
    body = {"command": command, **more}
    answer = service.http.post(f"/process/session/{session}/exec", json=body, headers=NEW)
    answer.raise_for_status()
    return answer.json()


def start(service: Service, session: str, command: str) -> str:
    return str(run(service, session, command, runAsync=True)["cmdId"])


def get(service: Service, path: str, headers: dict[str, str] = NEW) -> httpx.Response:
    return service.http.get(f"/process/session/{path}", headers=headers)


def follow(service: Service, path: str) -> tuple[bytes, int, str]:
    """All that is sent, and the close frame's code and reason."""
    ws = service.websocket(
        f"/process/session/{path}/logs?follow=true",
        header=[f"{key}: {value}" for key, value in NEW.items()],
    )
    data = b""
    while True:
        opcode, message = ws.recv_data(control_frame=True)
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            ws.close()
            return data, int.from_bytes(message[:2], "big"), message[2:].decode()
        data += message


def files(directory: Path) -> list[Path]:
    """Those that are there, also while others go: ``Path.rglob`` stumbles over what has gone."""
    found = [Path(where, name) for where, _, names in os.walk(directory) for name in names]
    return [path for path in found if path.is_file()]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def make(make_service: Callable[..., Service], state: Path, tmp_path: Path) -> Any:
    """Makes a service with more settings, whose state is in a directory of its own."""

    def make(more: str = "", **options: Any) -> Service:
        settings = f'[process.local]\nstate_dir = "{state}"\n{more}'
        return make_service(settings=settings, env={"HOME": str(tmp_path)}, **options)

    return make


class Killed:
    """A service whose worker was killed while commands of every kind were there."""

    def __init__(self, service: Service, directory: Path) -> None:
        self.service = service
        data = directory / "data"
        data.write_bytes(BINARY * 1000)
        # So that the streams' order is certain.
        first, second = directory / "first", directory / "second"
        os.mkfifo(first)
        os.mkfifo(second)
        for session in ("one", "two", "three"):
            service.http.post("/process/session", json={"sessionId": session}).raise_for_status()
        self.finished = run(service, "one", "echo out; echo err >&2; (exit 3)")["cmdId"]
        self.binary = run(service, "one", f"cat {data}")["cmdId"]
        text = f"printf 'é1'; read x <{first}; echo e2 >&2; read x <{second}; echo o3; sleep 1000"
        self.running = start(service, "one", text)
        self.queued = start(service, "one", "echo never")
        self.silent = start(service, "two", "sleep 1000")
        self.text = text
        for fifo, output in ((first, "é1"), (second, "é1e2\n")):
            self._wait_for(output)
            fifo.write_text("x\n")
        self._wait_for("é1e2\no3\n")
        self.before = {
            command: get(service, f"one/command/{command}/logs").json()
            for command in (self.finished, self.binary, self.running, self.queued)
        }
        self.flood = start(service, "three", "while :; do echo 0123456789; done")
        service.wait_for(lambda: len(self.flooded()) > 100_000, "the flood")
        self.seen = len(self.flooded())
        kill_worker(service)

    def _wait_for(self, output: str) -> None:
        path = f"one/command/{self.running}/logs"
        self.service.wait_for(
            lambda: get(self.service, path).json()["output"] == output, "the output"
        )

    def flooded(self) -> str:
        return str(get(self.service, f"three/command/{self.flood}/logs").json()["stdout"])


@pytest.fixture
def killed(make: Any, tmp_path: Path) -> Killed:
    return Killed(make(), tmp_path)


def test_sessions_outlive_the_worker(killed: Killed, state: Path) -> None:
    # AC-07, AC-08, AC-09, AC-28, F-E3: who waits for an exit code is given one that is no success
    service = killed.service
    listed = service.http.get("/process/session").json()
    assert [each["sessionId"] for each in listed] == ["one", "two", "three"]
    answer = get(service, "one")
    assert answer.json() == listed[0]
    assert answer.headers[REASON] == "daemon-restart"
    commands = {each["id"]: each for each in listed[0]["commands"]}
    assert list(commands) == [killed.finished, killed.binary, killed.running, killed.queued]
    assert commands[killed.finished]["exitCode"] == 3
    assert commands[killed.binary]["exitCode"] == 0
    assert commands[killed.running]["exitCode"] == -1
    assert commands[killed.queued]["exitCode"] == -1
    for command, before in killed.before.items():
        path = f"one/command/{command}"
        ended = command in (killed.finished, killed.binary)
        reason = "exited" if ended else "daemon-restart"
        answer = get(service, path)
        assert answer.json() == commands[command]
        assert answer.headers[REASON] == reason
        answer = get(service, f"{path}/logs")
        assert answer.json() == before
        assert answer.headers[REASON] == reason
        plain = get(service, f"{path}/logs", {"X-Daytona-SDK-Version": "0.20.0"})
        assert plain.headers[REASON] == reason
        if command == killed.binary:
            assert plain.content == BINARY * 1000
        else:
            assert plain.content.decode() == before["output"]
        _, code, why = follow(service, path)
        assert (code, why) == (1000, "" if ended else "daemon-restart")
    sent, _, _ = follow(service, f"one/command/{killed.running}")
    assert sent == "\1\1\1é1\2\2\2e2\n\1\1\1o3\n".encode()
    # What was read when the end came is there, and nothing else.
    flood = killed.flooded()
    line = "0123456789\n"
    assert len(flood) >= killed.seen
    assert (line * (len(flood) // len(line) + 1)).startswith(flood)
    silent = get(service, f"two/command/{killed.silent}/logs")
    assert silent.json() == {"output": "", "stdout": "", "stderr": ""}
    assert silent.headers[REASON] == "daemon-restart"
    assert get(service, "one/command/none").status_code == 404
    # They can be looked at only.
    http = service.http
    for path, body in (
        ("one/exec", {"command": "true"}),
        (f"one/command/{killed.running}/input", {"data": "x"}),
    ):
        answer = http.post(f"/process/session/{path}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (410, "SESSION_ENDED")
        assert answer.headers[REASON] == "daemon-restart"
    # They outlive another worker, beside those of that one.
    http.post("/process/session", json={"sessionId": "four"}).raise_for_status()
    fourth = run(service, "four", "echo 4")["cmdId"]
    kill_worker(service)
    listed = http.get("/process/session").json()
    assert {each["sessionId"] for each in listed} == {"one", "two", "three", "four"}
    assert get(service, f"four/command/{fourth}/logs").json()["stdout"] == "4\n"
    answer = get(service, f"one/command/{killed.binary}/logs")
    assert answer.json() == killed.before[killed.binary]
    # One is deleted, one is begun anew.
    assert http.delete("/process/session/one").status_code == 204
    assert get(service, "one").status_code == 404
    assert not [path for path in files(state) if killed.finished in path.read_text("latin-1")]
    assert http.post("/process/session", json={"sessionId": "two"}).status_code == 201
    assert run(service, "two", "echo anew")["stdout"] == "anew\n"
    assert len(get(service, "two").json()["commands"]) == 1
    assert not [path for path in files(state) if killed.silent in path.read_text("latin-1")]
    assert "Traceback" not in service.log()
    service.stop()
    assert not list(state.iterdir())


def test_past_sessions_are_forgotten_with_age_and_size(make: Any, state: Path) -> None:
    # AC-28
    service = make("keep_seconds = 1\n")
    service.http.post("/process/session", json={"sessionId": "old"}).raise_for_status()
    run(service, "old", "echo a-word")
    assert [path for path in files(state) if "a-word" in path.read_text("latin-1")]
    kill_worker(service)
    service.wait_for(lambda: service.http.get("/process/session").json() == [], "forgetting")
    service.wait_for(lambda: not files(state), "deleting")


def test_a_journal_has_a_bound_and_says_so(make: Any) -> None:
    service = make()
    service.http.post("/process/session", json={"sessionId": "s"}).raise_for_status()
    size = LIMIT + (1 << 20)
    command = run(service, "s", f"head -c {size} /dev/zero >&2; echo end")["cmdId"]
    kill_worker(service)
    text = get(service, f"s/command/{command}/logs", {"X-Daytona-SDK-Version": "0.20.0"}).content
    kept = text.removesuffix(LOST)
    assert len(text) - len(kept) == len(LOST)
    assert LIMIT - 2 * WIDE < len(kept) < LIMIT
    assert not kept.strip(b"\0")
    assert get(service, f"s/command/{command}").json()["exitCode"] == 0


def test_no_disk_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    # AC-15
    journals = Journals(StateDirectory("/proc/none", lasting=True), 1 << 20)
    for _ in range(3):
        session = journals.open("s")
        session.create()
        command = Journal.begin(session, "c", "true")
        command.append(b"x", ERR)
        command.finish(0, Reason.EXITED)
        session.remove()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_full_disk_leaves_what_was_before(tmp_path: Path) -> None:
    # AC-08, AC-15
    directory = StateDirectory(str(tmp_path), lasting=True)
    session = Journals(directory, 1 << 30).open("s")
    session.create()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        first = Journal.begin(session, "first", "true")
        first.append(b"a" * 1000, OUT)
        first.append(b"b" * 4000, OUT)
        first.append(b"c", OUT)
        first.finish(0, Reason.EXITED)
        Journal.begin(session, "second", "true").append(b"d", ERR)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    (found,) = directory.path().iterdir()
    heads = read_heads(found)
    ends = [(each.id, each.exit_code, each.cut) for each in heads]
    assert ends == [("first", 0, True), ("second", None, False)]
    spool = Spool(1 << 20, 1 << 20, directory.path)
    replay(found, heads[0], spool)
    assert b"".join(each.data for each in spool.chunks()) == b"a" * 1000 + LOST
    directory.close()


def test_an_end_needs_no_room(tmp_path: Path) -> None:
    """F-A5, AC-08: a disk without one free byte leaves no log that looks whole, and no end that
    somebody was told is lost.
    """
    directory = StateDirectory(str(tmp_path), lasting=True)
    session = Journals(directory, 1 << 30).open("s")
    session.create()
    (found,) = directory.path().iterdir()
    ended, running, whole = (
        Journal.begin(session, name, "true") for name in ("ended", "running", "whole")
    )
    whole.append(b"w", OUT)
    size = max(path.stat().st_size for path in found.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        for command in (ended, running):
            command.append(b"a", OUT)
        ended.finish(3, Reason.SIGNAL)
        whole.finish(0, Reason.EXITED)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    heads = read_heads(found)
    assert [(each.id, each.exit_code, each.reason, each.cut) for each in heads] == [
        ("ended", 3, Reason.SIGNAL, True),
        ("running", None, None, True),
        ("whole", 0, Reason.EXITED, False),
    ]
    directory.close()


def test_a_long_session_keeps_its_latest_commands(tmp_path: Path) -> None:
    directory = StateDirectory(str(tmp_path), lasting=True)
    session = Journals(directory, 1 << 30).open("s")
    session.create()
    waits = Journal.begin(session, "waits", "true")
    for number in range(12):
        command = Journal.begin(session, str(number), "true")
        for _ in range(15):
            command.append(bytes([number]) * (1 << 20), ERR)
        command.finish(number, Reason.EXITED)
    waits.append(b"x", OUT)
    (found,) = directory.path().iterdir()
    heads = read_heads(found)
    assert heads[0].id == "waits"
    finished = [each for each in heads if each.id != "waits"]
    numbers = [each.exit_code for each in finished]
    assert numbers == list(range(12))[-len(numbers) :]
    assert 2 <= len(numbers) <= 6, "those of one file or two"
    assert sum(path.stat().st_size for path in found.iterdir()) < 3 * FILE
    for head in finished:
        spool = Spool(1 << 20, 1 << 30, directory.path)
        replay(found, head, spool)
        content = b"".join(each.data for each in spool.chunks())
        assert content == bytes([head.exit_code or 0]) * (15 << 20)
    session.remove()
    assert not list(directory.path().iterdir())
    directory.close()


def test_what_a_dead_service_has_left_is_deleted(make: Any, state: Path) -> None:
    service = make()
    service.http.post("/process/session", json={"sessionId": "s"}).raise_for_status()
    run(service, "s", "echo a-word")
    other = state / f"toolbox-sessions-{os.getpid()}-1-abandoned"
    other.mkdir()
    (waits,) = set(state.glob("toolbox-sessions-*")) - {other}
    kill_worker(service)
    service.http.post("/process/session", json={"sessionId": "t"}).raise_for_status()
    assert waits.is_dir()
    assert not other.exists()
