"""No descriptor is left to look at processes with: they are ended all the same, or it is said that
they could not be.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from toolbox_process.testing import alive
from toolbox_process.testing import eventually
from toolbox_process.testing import read_pid

from toolbox.testing import Service


@contextlib.contextmanager
def no_descriptor_left(service: Service) -> Iterator[None]:
    """Not even one that was closed a moment ago: the limit is for numbers, and these are taken."""
    (worker,) = service.workers()
    soft, hard = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    assert {"0", "1", "2", "3"} <= {each.name for each in Path(f"/proc/{worker}/fd").iterdir()}
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (4, hard))
    try:
        yield
    finally:
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def connected(service: Service) -> Iterator[httpx.Client]:
    """A client whose connection is there before descriptors are short."""
    with service.client(service.token) as client:
        client.get("/version").raise_for_status()
        yield client


def stay(file: Path) -> str:
    return f"echo $$ > {file}; exec sleep 1000"


def test_a_timeout_that_can_not_be_kept_is_told(
    service: Service, connected: httpx.Client, tmp_path: Path
) -> None:
    """F-A6, AC-01, AC-08: and kept as soon as that can be done."""
    files = [tmp_path / "execute", tmp_path / "job"]
    body = {"command": stay(files[0]), "timeout": 2}
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(connected.post, "/process/execute", json=body)
        body = {"command": stay(files[1]), "timeout": 2}
        job = service.http.post("/x/jobs", json=body).json()["id"]
        pids = [read_pid(file) for file in files]
        with no_descriptor_left(service):
            answer = waiting.result()
            assert answer.status_code == 408
            assert "could not be ended" in answer.json()["message"]
            assert all(alive(pid) for pid in pids)
    eventually(lambda: not any(alive(pid) for pid in pids), "their end")
    assert service.http.get(f"/x/jobs/{job}/wait").json()["reason"] == "timeout"
    job = answer.headers["X-Toolbox-Job"]
    assert service.http.get(f"/x/jobs/{job}/wait").json()["reason"] == "timeout"


def test_a_deletion_that_can_not_be_done_is_told(
    service: Service, connected: httpx.Client, tmp_path: Path
) -> None:
    """F-A6: of whatever kind; and done when it is asked for again."""
    names = ["session", "command", "terminal", "interpreter", "job"]
    session, command, terminal, interpreter, job = files = [tmp_path / name for name in names]
    http = service.http
    for name, file in (("s", session), ("c", command)):
        http.post("/process/session", json={"sessionId": name}).raise_for_status()
        body = {"command": f"sh -c '{stay(file)}'", "runAsync": True}
        answer = http.post(f"/process/session/{name}/exec", json=body)
    http.post("/process/pty", json={"id": "p"}).raise_for_status()
    ws = service.websocket("/process/pty/p/connect")
    ws.send_binary(f"sh -c '{stay(terminal)}'\r".encode())
    context = http.post("/process/interpreter/context", json={}).json()["id"]
    python = service.websocket("/process/interpreter/execute")
    code = f"import subprocess; subprocess.run({stay(interpreter)!r}, shell=True)"
    python.send(json.dumps({"code": code, "contextId": context}))
    started = http.post("/x/jobs", json={"command": stay(job)}).json()["id"]
    pids = [read_pid(file) for file in files]
    paths = [
        "/process/session/s",
        f"/x/jobs/{answer.json()['cmdId']}",
        "/process/pty/p",
        f"/process/interpreter/context/{context}",
        f"/x/jobs/{started}",
    ]
    with no_descriptor_left(service):
        for path in paths:
            answer = connected.delete(path)
            assert answer.status_code == 503, (path, answer.text)
            assert "could not be ended" in answer.json()["message"]
        body = {"signal": "KILL", "tree": True}
        answer = connected.post(f"/x/jobs/{started}/signal", json=body)
        assert answer.status_code == 503, answer.text
        assert all(alive(pid) for pid in pids)
    for path, pid in zip(paths, pids, strict=True):
        answer = http.delete(path)
        assert answer.is_success, (path, answer.text)
        assert not alive(pid)
    ws.close()
    python.close()


def test_the_last_descriptors_are_for_ending(
    service: Service, connected: httpx.Client, tmp_path: Path
) -> None:
    """F-A6: whatever else there is may be taken, but for a few."""
    file = tmp_path / "pid"
    body = {"command": f"sleep 1000 & {stay(file)}"}
    job = service.http.post("/x/jobs", json=body).json()["id"]
    pid = read_pid(file)
    (worker,) = service.workers()
    soft, hard = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    # Six are held open on /dev/null: numbers from the last of them on may not be had.
    links = {int(each.name): os.readlink(each) for each in Path(f"/proc/{worker}/fd").iterdir()}
    spare = [number for number, path in links.items() if path == os.devnull and number > 2]
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (max(spare) + 1, hard))
    try:
        with contextlib.ExitStack() as files:
            assert _fill(files, connected) == 503
            answer = connected.delete(f"/x/jobs/{job}")
        assert answer.status_code == 200, answer.text
        assert not alive(pid)
    finally:
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (soft, hard))


def _fill(files: contextlib.ExitStack, client: httpx.Client) -> int:
    """Start jobs until there is no descriptor for another; the status that says so."""
    for _ in range(64):
        answer = client.post("/x/jobs", json={"command": "exec sleep 1000"})
        if not answer.is_success:
            return answer.status_code
        path = f"/x/jobs/{answer.json()['id']}"
        files.callback(client.delete, path)
    return 0
