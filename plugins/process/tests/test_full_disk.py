"""Disks that are full, absent or can't be read: output is kept elsewhere, or a gap that is told."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import websocket
from toolbox_process.engine.spool import ERR
from toolbox_process.engine.spool import OUT
from toolbox_process.engine.spool import Spool

from toolbox.testing import Service

NEW = {"X-Daytona-SDK-Version": "0.226.1"}
OLD = {"X-Daytona-SDK-Version": "0.20.0"}
MEMORY = 4096


@pytest.fixture(scope="module")
def full() -> Iterator[Path]:
    """A file system without a free byte."""
    where = Path(tempfile.mkdtemp(prefix="toolbox-test-"))
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(where)]
    subprocess.run(command, check=True)
    fill(where)
    try:
        yield where
    finally:
        subprocess.run(["umount", "--lazy", str(where)], check=True)
        where.rmdir()


def fill(directory: Path) -> None:
    with suppress(OSError), (directory / "filler").open("ab", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass


def places(*directories: Path) -> Callable[[int], Path]:
    def place(passed: int) -> Path:
        if passed >= len(directories):
            raise OSError(errno.ENOSPC, "no more")
        return directories[passed]

    return place


def content(count: int) -> bytes:
    """Bytes in which every place can be told from its neighbors."""
    return b"".join(b"%08d" % number for number in range(count // 8))


def read_checked(spool: Spool, written: bytes, size: int) -> list[tuple[int, int]]:
    """Read all, and check that what is there is right; the gaps as beginning and end."""
    gaps, at = [], 0
    for chunk in spool.chunks(size=size):
        if chunk.offset > at:
            gaps.append((at, chunk.offset))
        assert chunk.data == written[chunk.offset : chunk.end]
        assert chunk.data or chunk.end == len(written), "an end that is none"
        at = chunk.end
    assert at == spool.end == len(written)
    return gaps


@pytest.mark.parametrize("piece", [1000, 4096, 5000])
@pytest.mark.parametrize("keep_head", [True, False])
def test_what_has_no_room_is_one_gap(full: Path, piece: int, keep_head: bool) -> None:
    """F-A5, AC-08, AC-22: at whatever length, the beginning and the end are there."""
    spool = Spool(MEMORY, 1 << 30, places(full, full), keep_head)
    whole = content(piece * 90 // 8 * 8)
    for at in range(0, len(whole), piece):
        spool.append(whole[at : at + piece], at // piece % 2)
        gaps = read_checked(spool, whole[: at + piece], 1 << 20)
        assert len(gaps) <= 1
        assert not gaps or (gaps[0][0] > 0) == keep_head
        assert not gaps or gaps[0][1] <= spool.end - 15 * MEMORY + piece
        assert spool.size().in_memory <= 17 * MEMORY + piece
    assert gaps
    assert spool.size().files == 0


def test_a_disk_that_fills_up_loses_nothing_that_is_on_it(full: Path) -> None:
    """F-A5: nor what went to another."""
    (full / "filler").unlink()
    try:
        spool = Spool(MEMORY, 1 << 24, places(full))
        whole = content(3 << 20)
        for at in range(0, len(whole), 65536):
            spool.append(whole[at : at + 65536])
        ((begin, end),) = read_checked(spool, whole, 1 << 16)
        assert begin >= (1 << 20) - 65536
        assert end <= len(whole) - 15 * MEMORY + 65536
        spool.discard()
    finally:
        fill(full)


def test_another_disk_takes_what_one_has_no_room_for(full: Path, tmp_path: Path) -> None:
    """F-A5."""
    spool = Spool(MEMORY, 1 << 24, places(full, Path("/proc"), full, tmp_path))
    whole = content(3 << 20)
    for at in range(0, len(whole), 65536):
        spool.append(whole[at : at + 65536], OUT)
    assert read_checked(spool, whole, 1 << 16) == []
    assert spool.size().in_memory == 0


def test_what_can_not_be_read_again_is_a_gap(tmp_path: Path) -> None:
    """F-A5: a file that has lost its end, as after an error of the disk, is no end."""
    spool = Spool(MEMORY, 1 << 24, places(tmp_path))
    before = set(os.listdir("/proc/self/fd"))
    whole = content(3 << 20)
    for at in range(0, len(whole), 65536):
        spool.append(whole[at : at + 65536], ERR)
    files = [
        path
        for name in set(os.listdir("/proc/self/fd")) - before
        if str((path := Path("/proc/self/fd") / name).readlink()).startswith(str(tmp_path))
    ]
    assert len(files) == 3
    for number, file in enumerate(files):
        os.truncate(file, 4096 if number else 0)
    gaps = read_checked(spool, whole, 1 << 16)
    assert sum(end - begin for begin, end in gaps) >= 2 << 20
    spool.discard()


@pytest.fixture(scope="module")
def service(full: Path) -> Iterator[Service]:
    """One whose output and journals have no room at all."""
    directory = Path(tempfile.mkdtemp(prefix="toolbox-test-"))
    state = full / "state"
    running = Service(directory, settings=f'[process.local]\nstate_dir = "{state}"\ngrace = 0.5\n')
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(directory, ignore_errors=True)


COUNT = 2031616
COMMAND = f"head -c {COUNT} /dev/zero | tr '\\0' x; echo END"


def check(text: str, dropped: int) -> None:
    note = f"\n[... {dropped} bytes left out ...]\n"
    head, _, tail = text.partition(note)
    assert dropped > 0
    if tail.startswith(f"[of {COUNT + 4}: "):
        tail = tail.partition("\n")[2]  # The note's second line tells where the whole is.
    assert tail.endswith("xEND\n")
    assert len(head) + len(tail) + dropped == COUNT + 4
    assert len(head) >= 1 << 12
    assert len(tail) >= 1 << 19


def test_output_without_room_is_told(service: Service) -> None:
    """F-A5, AC-08, AC-22: by every way of looking at it."""
    http = service.http
    answer = http.post("/process/execute", json={"command": COMMAND})
    assert answer.json()["exitCode"] == 0
    check(answer.json()["result"], int(answer.headers["X-Toolbox-Truncated"]))

    job = http.post("/x/jobs", json={"command": COMMAND}).json()["id"]
    assert http.get(f"/x/jobs/{job}/wait").json()["exitCode"] == 0
    shown = http.get(f"/x/jobs/{job}/output?limit=4194304&encoding=text").json()
    text = "".join(each["data"] for each in shown["pieces"])
    assert text.endswith("xEND\n")
    assert len(text) + shown["gap"] == COUNT + 4 == shown["nextOffset"]
    assert shown["gap"] > 0

    ws = service.websocket(f"/x/jobs/{job}/output?encoding=text")
    told = 0
    while (opcode := ws.recv_data(control_frame=True))[0] != websocket.ABNF.OPCODE_CLOSE:
        told += 1
    ws.close()
    assert told > 2
    assert opcode[1][:2] == (1000).to_bytes(2, "big")


def test_a_log_without_room_is_told(
    service: Service, make_service: Callable[..., Service], full: Path, tmp_path: Path
) -> None:
    """F-A5: also where the disk fills up while a session runs."""
    (full / "filler").unlink()
    http = service.http
    http.post("/process/session", json={"sessionId": "s"}).raise_for_status()
    http.post("/process/session/s/exec", json={"command": "true"}).raise_for_status()
    held = f"while [ ! -e {tmp_path}/go ]; do sleep 0.01; done; {COMMAND}"
    body = {"command": held, "runAsync": True}
    command = http.post("/process/session/s/exec", json=body).json()["cmdId"]
    path = f"/process/session/s/command/{command}"
    ws = service.websocket(f"{path}/logs?follow=true", header=["X-Daytona-SDK-Version: 0.226.1"])
    fill(full)
    (tmp_path / "go").touch()
    followed = b""
    while (frame := ws.recv_data(control_frame=True))[0] != websocket.ABNF.OPCODE_CLOSE:
        followed += frame[1][3:]
    ws.close()
    answer = http.get(f"{path}/logs", headers=NEW).raise_for_status()
    dropped = int(answer.headers["X-Toolbox-Truncated"])
    check(answer.json()["stdout"], dropped)
    check(http.get(f"{path}/logs", headers=OLD).text, dropped)
    # Who follows has been sent all, or told how much not.
    assert followed.endswith(b"xEND\n")
    assert followed.count(b"x") == COUNT or b" bytes left out ...]\n" in followed
    # The next command has its pipes elsewhere.
    body = {"command": "echo next"}
    answer = http.post("/process/session/s/exec", json=body, headers=NEW)
    assert (answer.json()["exitCode"], answer.json()["stdout"]) == (0, "next\n")
    http.delete("/process/session/s").raise_for_status()
    assert "Traceback" not in service.log()


@pytest.mark.parametrize("option", ["size=1m", "nr_inodes=40"])
def test_sessions_make_room_on_a_full_disk(
    make_service: Callable[..., Service], tmp_path: Path, option: str
) -> None:
    """One that was there, and another: who works by sessions has no other way to do that."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", option, "tmpfs", str(disk)], check=True)
    try:
        service = make_service(settings=f'[process.local]\nstate_dir = "{disk}/state"\n')
        http = service.http
        http.post("/process/session", json={"sessionId": "old"}).raise_for_status()
        run_in(service, "old", "true")
        fill(disk)
        (disk / "links").mkdir(exist_ok=True)
        with suppress(OSError):
            for number in range(1000 if "inodes" in option else 0):
                (disk / "links" / str(number)).touch()
        http.post("/process/session", json={"sessionId": "new"}).raise_for_status()
        run_in(service, "old", "echo old")
        run_in(service, "new", f"rm -r {disk}/filler {disk}/links; echo new > {disk}/written")
        assert (disk / "written").read_text() == "new\n"
        run_in(service, "old", "echo still")
        assert service.stop() == 0
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def run_in(service: Service, session: str, command: str) -> None:
    path = f"/process/session/{session}/exec"
    answer = service.http.post(path, json={"command": command}, headers=NEW).json()
    assert answer["exitCode"] == 0, answer


def test_a_file_for_output_without_room_is_507(service: Service, tmp_path: Path) -> None:
    """As any other file for which there is no room."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=1", "tmpfs", tmp_path], check=True)
    try:
        body = {"command": "echo x", "outputFile": f"{tmp_path}/out"}
        answer = service.http.post("/x/jobs", json=body)
        assert (answer.status_code, answer.json()["code"]) == (507, "INSUFFICIENT_STORAGE")
        assert "No space left on device" in answer.json()["message"]
    finally:
        subprocess.run(["umount", "--lazy", tmp_path], check=True)


def use(service: Service) -> None:
    """Everything that writes a file of the engine's."""
    http = service.http
    long = "x" * 300_000
    for command, result in (
        ("seq 300000 | tail -n 1", "300000\n"),
        (f"cat <<'E'\n{long}\nE", f"{long}\n"),
        (COMMAND, "x" * COUNT + "END\n"),
    ):
        answer = http.post("/process/execute", json={"command": command})
        assert answer.json() == {"exitCode": 0, "result": result}, answer.headers
    http.post("/process/session", json={"sessionId": "u"}).raise_for_status()
    for command, result in (("echo x", "x\n"), (f"cat <<'E'\n{long}\nE", f"{long}\n")):
        body: dict[str, Any] = {"command": command}
        answer = http.post("/process/session/u/exec", json=body, headers=NEW)
        assert (answer.json()["exitCode"], answer.json()["stdout"]) == (0, result)
    body = {"command": "read x; echo $x", "runAsync": True, "suppressInputEcho": True}
    command = http.post("/process/session/u/exec", json=body).json()["cmdId"]
    path = f"/process/session/u/command/{command}/input"
    http.post(path, json={"data": "in"}).raise_for_status()
    assert http.get(f"/x/jobs/{command}/wait").json()["exitCode"] == 0
    http.delete("/process/session/u").raise_for_status()
    answer = http.post("/process/code-run", json={"language": "python", "code": "print(6 * 7)"})
    assert answer.json()["result"] == "42\n"
    answer = http.post("/process/execute", json={"command": "sleep 1000", "timeout": 1})
    assert answer.status_code == 408
    job = http.post("/x/jobs", json={"command": "env -i setsid -f sleep 1000; sleep 1000"}).json()
    assert http.delete(f"/x/jobs/{job['id']}").json()["reason"] == "cancelled"
    http.post("/process/pty", json={"id": "u"}).raise_for_status()
    ws = service.websocket("/process/pty/u/connect")
    ws.send_binary(b"echo $((40 + 2))-end\r")
    seen = b""
    while b"42-end" not in seen:
        seen += ws.recv_data()[1]
    ws.close()
    http.delete("/process/pty/u").raise_for_status()
    ws = service.websocket("/process/interpreter/execute")
    ws.send('{"code": "print(6 * 7)"}')
    assert "42" in ws.recv()
    ws.close()


@pytest.mark.parametrize(
    "script",
    [
        "mount -t tmpfs -o size=64k tmpfs /dev/shm; cat /dev/zero > /dev/shm/filler || true",
        "mount -t tmpfs -o nr_inodes=1 tmpfs /dev/shm",
        "mount -t tmpfs -o ro tmpfs /dev/shm",
        "mkdir /tmp/dev-$$; mount -t tmpfs tmpfs /tmp/dev-$$; cd /dev;"
        " cp -a null zero full random urandom tty fd stdin stdout stderr ptmx /tmp/dev-$$;"
        " mkdir /tmp/dev-$$/pts; mount --rbind /dev/pts /tmp/dev-$$/pts;"
        " mount --move /tmp/dev-$$ /dev; rmdir /tmp/dev-$$; ! test -e /dev/shm",
    ],
    ids=["full", "no inodes", "read-only", "absent"],
)
def test_memory_for_files_is_not_needed(make_service: Callable[..., Service], script: str) -> None:
    """F-A7, AC-15: there are other places."""
    wrapper = [
        *("unshare", "--mount", "--propagation", "private", "sh", "-c"),
        *(f'set -e; {script}; exec "$0" "$@"',),
    ]
    service = make_service(wrapper=wrapper)
    use(service)
    assert "Traceback" not in service.log()


def test_memory_for_files_that_becomes_full(make_service: Callable[..., Service]) -> None:
    """F-A7: as any job can do, while there is a session."""
    mount = 'mount -t tmpfs -o size=64k tmpfs /dev/shm; exec "$0" "$@"'
    wrapper = ["unshare", "--mount", "--propagation", "private", "sh", "-c", mount]
    service = make_service(wrapper=wrapper)
    http = service.http
    http.post("/process/session", json={"sessionId": "s"}).raise_for_status()
    body = {"command": "echo before"}
    assert http.post("/process/session/s/exec", json=body).json()["output"] == "before\n"
    fill_up = "cat /dev/zero > /dev/shm/filler; echo full"
    assert "full\n" in http.post("/process/execute", json={"command": fill_up}).json()["result"]
    body = {"command": "echo after"}
    assert http.post("/process/session/s/exec", json=body).json()["output"] == "after\n"
    use(service)
