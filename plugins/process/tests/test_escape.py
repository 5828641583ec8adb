"""Processes that get away from whoever started them, and are ended all the same."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from toolbox_process.testing import alive
from toolbox_process.testing import eventually
from toolbox_process.testing import read_pid

from toolbox.testing import Service

DAEMON = """
import os, sys
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
os.chdir("/")
os.closerange(0, 100)
os.execve("/bin/sh", ["sh", "-c", sys.argv[1]], {})
"""
"""A daemon as the books have it, with nothing in its environment."""


def stay(file: Path) -> str:
    """A command that writes its pid and stays."""
    return f"echo $$ > {file}; exec sleep 1000"


def escapes(directory: Path) -> tuple[str, list[Path]]:
    """A command that starts processes in every way there is to get away, and where their pids are
    written.
    """
    directory.mkdir()
    source = directory / "daemon.py"
    source.write_text(DAEMON)
    quiet = ">/dev/null 2>&1 </dev/null"
    ways: list[Callable[[str], str]] = [
        lambda run: f"setsid -f sh -c {run}",
        lambda run: f"env -i setsid -f sh -c {run}",
        lambda run: f"env -i setsid -f sh -c {run} {quiet}",
        lambda run: f"su - root -c {shlex.quote(f'setsid -f sh -c {run}')}",
        lambda run: f"su - root -c {shlex.quote(f'setsid -f sh -c {run}')} {quiet}",
        lambda run: f"env -i su root -c {shlex.quote(f'env -i setsid -f sh -c {run} {quiet}')}",
        lambda run: f"python3 {source} {run}",
        lambda run: f"env -i nohup setsid -f sh -c {run} {quiet}",
        lambda run: f"(env -i setsid sh -c {run} {quiet} &)",
    ]
    files = [directory / str(number) for number in range(len(ways))]
    lines = [way(shlex.quote(stay(file))) for way, file in zip(ways, files, strict=True)]
    return "\n".join(lines), files


def read_pids(files: list[Path]) -> list[int]:
    pids = [read_pid(file) for file in files]
    assert all(alive(pid) for pid in pids)
    return pids


@pytest.fixture
def others(service: Service, tmp_path: Path) -> list[int]:
    """What must not be harmed: what a finished command has left, and another job's daemons."""
    left, left_files = escapes(tmp_path / "left")
    running, running_files = escapes(tmp_path / "running")
    http = service.http
    http.post("/process/execute", json={"command": left}).raise_for_status()
    pids = read_pids(left_files)
    http.post("/x/jobs", json={"command": f"{running}\nsleep 1000"}).raise_for_status()
    return pids + read_pids(running_files)


def test_what_gets_away_is_ended_with_its_job(
    service: Service, tmp_path: Path, others: list[int]
) -> None:
    """F-E2, AC-01, AC-34, AC-44: by a time-out, and by deleting a job, a session, a terminal and an
    interpreter; nothing else is.
    """
    http = service.http
    command, files = escapes(tmp_path / "execute")
    body = {"command": f"{command}\nsleep 1000", "timeout": 4}
    answer = http.post("/process/execute", json=body)
    assert answer.status_code == 408, answer.text
    # On a slow machine not all of them have come that far.
    pids = [int(text) for file in files if file.exists() and (text := file.read_text())]
    assert pids
    assert not [pid for pid in pids if alive(pid)]

    command, files = escapes(tmp_path / "job")
    job = http.post("/x/jobs", json={"command": f"{command}\nsleep 1000"}).json()["id"]
    pids = read_pids(files)
    http.delete(f"/x/jobs/{job}").raise_for_status()
    assert not [pid for pid in pids if alive(pid)]

    command, files = escapes(tmp_path / "session")
    http.post("/process/session", json={"sessionId": "s"}).raise_for_status()
    http.post("/process/session/s/exec", json={"command": command}).raise_for_status()
    pids = read_pids(files)
    http.delete("/process/session/s").raise_for_status()
    assert not [pid for pid in pids if alive(pid)]

    # Also when the shell has gone before.
    command, files = escapes(tmp_path / "ended")
    http.post("/process/session", json={"sessionId": "e"}).raise_for_status()
    http.post("/process/session/e/exec", json={"command": f"{command}\nexit"}).raise_for_status()
    pids = read_pids(files)
    http.delete("/process/session/e").raise_for_status()
    assert not [pid for pid in pids if alive(pid)]

    command, files = escapes(tmp_path / "terminal")
    script = tmp_path / "terminal.sh"
    script.write_text(command)
    http.post("/process/pty", json={"id": "p"}).raise_for_status()
    ws = service.websocket("/process/pty/p/connect")
    ws.send_binary(f". {script}\r".encode())
    pids = read_pids(files)
    http.delete("/process/pty/p").raise_for_status()
    ws.close()
    eventually(lambda: not [pid for pid in pids if alive(pid)], "their end")

    command, files = escapes(tmp_path / "interpreter")
    context = http.post("/process/interpreter/context", json={}).json()["id"]
    ws = service.websocket("/process/interpreter/execute")
    code = f"import subprocess; subprocess.run({command!r}, shell=True)"
    ws.send(json.dumps({"code": code, "contextId": context}))
    pids = read_pids(files)
    http.delete(f"/process/interpreter/context/{context}").raise_for_status()
    ws.close()
    assert not [pid for pid in pids if alive(pid)]

    assert [pid for pid in others if alive(pid)] == others


def test_where_the_oom_score_is_high_already(
    make_service: Callable[..., Service], tmp_path: Path
) -> None:
    """F-E2: as Kubernetes sets it for many pods; there is still room to tell jobs apart."""
    raised = 'echo 900 > /proc/self/oom_score_adj; exec "$0" "$@"'
    service = make_service(wrapper=["sh", "-c", raised])
    file = tmp_path / "pid"
    run = shlex.quote(f"setsid -f sh -c {shlex.quote(stay(file))}")
    body = {"command": f"su - root -c {run} >/dev/null; sleep 1000"}
    job = service.http.post("/x/jobs", json=body).json()["id"]
    pid = read_pid(file)
    assert 900 < int(Path(f"/proc/{pid}/oom_score_adj").read_text()) <= 1000
    service.http.delete(f"/x/jobs/{job}").raise_for_status()
    assert not alive(pid)
