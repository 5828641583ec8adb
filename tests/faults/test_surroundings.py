"""Surroundings that are short of something from the start, or lose it: disk, ``/tmp``."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolbox.testing import Service

MEGABYTE = 1 << 20


def run(service: Service, command: str) -> str:
    answer = service.http.post("/process/execute", json={"command": command})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["result"])


def use(service: Service) -> None:
    """A bit of everything that needs a place for files or pipes."""
    assert run(service, "echo x") == "x\n"
    assert run(service, "seq 30000").endswith("29999\n30000\n")
    assert run(service, "cat <<'E'\n" + "x" * 300_000 + "\nE") == "x" * 300_000 + "\n"
    http = service.http
    http.post("/process/session", json={"sessionId": "s"}).raise_for_status()
    body = {"command": "echo in a session"}
    answer = http.post("/process/session/s/exec", json=body).json()
    assert (answer["exitCode"], answer["output"]) == (0, "in a session\n")
    http.delete("/process/session/s").raise_for_status()
    answer = http.post("/process/code-run", json={"language": "python", "code": "print(6 * 7)"})
    assert answer.json()["result"] == "42\n"
    http.post("/process/pty", json={"id": "p"}).raise_for_status()
    ws = service.websocket("/process/pty/p/connect")
    ws.send_binary(b"echo $((40 + 2))-end\r")
    seen = b""
    while b"42-end" not in seen:
        data = ws.recv()
        seen += data if isinstance(data, bytes) else data.encode()
    ws.close()
    http.delete("/process/pty/p").raise_for_status()


def test_a_read_only_root_is_no_hindrance(confined: Service) -> None:
    # AC-15
    assert "Read-only" in run(confined, "touch /usr/x 2>&1")
    use(confined)
    answer = confined.http.post("/files/upload-v2", params={"path": "/usr/x"}, content=b"x")
    assert (answer.status_code, answer.json()["code"]) == (403, "FILE_ACCESS_DENIED")
    answer = confined.http.post("/git/init", json={"path": "/usr/x"})
    assert answer.status_code == 403, answer.text
    assert "Traceback" not in confined.log()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four megabytes."""
    where = tmp_path / "small"
    where.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(where)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a file system can't be mounted; as root it can")
    yield where
    subprocess.run(["umount", "--lazy", str(where)], check=True)


def test_a_disk_that_is_full_loses_only_what_it_must(
    make_service: Callable[..., Service], small_disk: Path
) -> None:
    # AC-21, AC-22, AC-51: the disk of the output, of the work and of the log
    service = make_service(
        settings=f'[server]\nwork_dir = "{small_disk}"\n'
        f'[process.local]\nstate_dir = "{small_disk}"\n'
    )
    (worker,) = service.workers()
    service.http.post("/process/session", json={"sessionId": "s"}).raise_for_status()
    (small_disk / "filler").write_bytes(b"x" * (3 * MEGABYTE))
    answer = service.http.post("/process/execute", json={"command": "seq 1500000; echo last"})
    assert answer.status_code == 200, answer.text
    # What there was no room for is counted, and the end is there.
    assert answer.json()["result"].startswith("1\n2\n3\n")
    assert answer.json()["result"].endswith("\n1500000\nlast\n")
    dropped = int(answer.headers["X-Toolbox-Truncated"])
    assert f"\n[... {dropped} bytes left out ...]\n" in answer.json()["result"]
    fill = f"cat /dev/zero >> {small_disk}/filler"
    assert subprocess.run(["sh", "-c", fill], capture_output=True).returncode
    assert run(service, "echo full").startswith("full")
    answer = service.http.post("/files/upload-v2", params={"path": "new"}, content=b"x" * 9999)
    assert (answer.status_code, answer.json()["code"]) == (507, "INSUFFICIENT_STORAGE")
    answer = service.http.post("/git/init", json={"path": "repository"})
    assert 400 <= answer.status_code < 500 or answer.status_code == 507, answer.text
    answer = service.http.post("/process/session/s/exec", json={"command": "echo s"})
    assert answer.status_code in (200, 507), answer.text
    (small_disk / "filler").unlink()
    assert run(service, "echo again") == "again\n"
    answer = service.http.post("/process/session/s/exec", json={"command": "echo again"})
    assert answer.json()["output"] == "again\n"
    assert service.workers() == [worker]
    assert "Traceback" not in service.log()


def test_the_temporary_directory_may_be_deleted(
    make_service: Callable[..., Service], tmp_path: Path
) -> None:
    # AC-15
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    settings = f'[process.local]\nstate_dir = "{temporary}/state"\n'
    service = make_service(settings=settings, env={"TMPDIR": str(temporary)})
    use(service)
    shutil.rmtree(temporary)
    use(service)
    service.http.post("/process/session", json={"sessionId": "kept"}).raise_for_status()
    shutil.rmtree(temporary)
    body = {"command": "echo kept"}
    assert service.http.post("/process/session/kept/exec", json=body).json()["output"] == "kept\n"
    assert "Traceback" not in service.log()


def test_the_work_directory_may_be_deleted(make_service: Callable[..., Service]) -> None:
    service = make_service()
    shutil.rmtree(service.work_dir)
    answer = service.http.post("/process/execute", json={"command": "echo x"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["exitCode"] != 0 or answer.json()["result"] == "x\n"
    assert service.http.get("/files", params={"path": "."}).status_code in (200, 404)
    assert service.http.get("/work-dir").status_code == 200
    service.work_dir.mkdir()
    assert run(service, "pwd") == f"{service.work_dir}\n"
    assert "Traceback" not in service.log()


def test_a_user_without_an_entry_or_a_home(make_service: Callable[..., Service]) -> None:
    # As containers have it that run as any user id.
    wrapper = ["unshare", "--map-user=4711", "--map-group=4711", "env", "-u", "HOME"]
    if subprocess.run([*wrapper, "true"], capture_output=True).returncode:
        pytest.skip("the kernel lets nobody make a user namespace")
    service = make_service(settings='[fleet]\nbackend = "local"\n', wrapper=wrapper)
    assert run(service, "id -u; echo ${HOME-none}") == "4711\nnone\n"
    service.http.post("/git/init", json={"path": "repository"}).raise_for_status()
    assert service.http.get("/x/checkpoints").is_success
    assert "Traceback" not in service.log()


def test_without_proc_the_reason_is_said_in_a_line() -> None:
    wrapper = ["bwrap", "--dev-bind", "/", "/", "--tmpfs", "/proc"]
    if subprocess.run([*wrapper, "true"], capture_output=True).returncode:
        pytest.skip("bubblewrap can't be used")
    serve = [sys.executable, "-m", "toolbox", "serve", "--port", "0"]
    done = subprocess.run([*wrapper, *serve], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("toolbox: /proc is not mounted")
    assert done.stderr.count("\n") == 1
