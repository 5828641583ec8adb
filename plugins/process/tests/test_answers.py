"""What is in an answer, and who is still there to get it."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from toolbox_process.engine.excerpt import Excerpt
from toolbox_process.engine.spool import ERR
from toolbox_process.engine.spool import OUT
from toolbox_process.engine.spool import Spool
from toolbox_process.testing import alive
from toolbox_process.testing import eventually
from toolbox_process.testing import read_pid

from toolbox.testing import Service

NEW = {"X-Daytona-SDK-Version": "0.226.1"}


def test_long_answers_are_what_short_ones_are(make_service: Any) -> None:
    """F-A8: sent as they are encoded, they have the same members and the same text."""
    service = make_service(settings="[process]\nmax_result = 700001\n")
    text = 'h\u00e9"\\\x01\U0001f600\x85' * 40000
    (service.work_dir / "text").write_text(text)
    (service.work_dir / "latin").write_bytes(b"\xe9\n" * 300000)
    answer = service.http.post("/process/execute", json={"command": "cat text; exit 3"})
    assert answer.json() == {"exitCode": 3, "result": text}
    assert "X-Toolbox-Truncated" not in answer.headers
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    answer = service.http.post("/process/execute", json={"command": "cat latin"})
    assert answer.json()["result"] == "\ufffd\n" * 300000
    body = {"code": "print(open('text').read(), end='')", "language": "python"}
    assert service.http.post("/process/code-run", json=body).json()["result"] == text
    service.http.post("/process/session", json={"sessionId": "s"})
    path = "/process/session/s/exec"
    answer = service.http.post(path, json={"command": "cat text; echo e >&2"}, headers=NEW)
    found = answer.json()
    assert set(found) == {"cmdId", "output", "stdout", "stderr", "exitCode"}
    assert (found["stdout"], found["stderr"], found["exitCode"]) == (text, "e\n", 0)
    path = f"/process/session/s/command/{found['cmdId']}/logs"
    logs = service.http.get(path, headers=NEW).json()
    assert logs == {name: found[name] for name in ("output", "stdout", "stderr")}
    old = {"X-Daytona-SDK-Version": "0.30.0"}
    answer = service.http.post("/process/session/s/exec", json={"command": "cat text"}, headers=old)
    assert answer.json()["output"].replace("\x01\x01\x01", "") == text
    over = service.http.post("/process/execute", json={"command": "cat text text; echo end"})
    dropped = int(over.headers["X-Toolbox-Truncated"])
    whole = (text * 2 + "end\n").encode()
    assert dropped == len(whole) - 700000
    job = over.headers["X-Toolbox-Job"]
    note = f"\n[... {dropped} bytes left out ...]\n[of {len(whole)}: /x/jobs/{job}/output]\n"
    head, tail = whole[:350000].decode("utf-8", "replace"), whole[-350000:]
    assert over.json()["result"] == head + note + tail.decode("utf-8", "replace")


@pytest.mark.parametrize("limit", [1, 2, 7, 64, 1000])
@pytest.mark.parametrize("stream", [None, OUT, ERR])
def test_excerpts(tmp_path: Path, limit: int, stream: int | None) -> None:
    """F-A8, F-E5: the beginning and the end of a stream, whatever the other has."""
    spool = Spool(100, 1 << 20, lambda passed=0: tmp_path)
    written = bytearray()
    for number in range(40):
        data = f"<{number}>".encode() * (number % 3)
        spool.append(data, OUT if number % 4 else ERR)
        if stream is None or (stream == ERR) == (number % 4 == 0):
            written += data
    excerpt = Excerpt(spool, stream, limit)
    text = "".join(excerpt.pieces())
    if len(written) <= limit:
        assert (text, excerpt.dropped) == (written.decode(), 0)
        return
    half = limit // 2
    kept = 2 * half if len(written) - half > limit - half else len(written)
    assert excerpt.dropped == len(written) - kept
    note = f"\n[... {excerpt.dropped} bytes left out ...]\n"
    assert text == written[:half].decode() + note + written[len(written) - half :].decode()


@pytest.mark.parametrize("operation", ["execute", "code-run"])
def test_streams_apart(make_service: Any, operation: str) -> None:
    """F-E5: where they are asked for, none squeezes out the other."""
    service = make_service(settings="[process]\nmax_result = 4096\n")
    command = "seq 100000; echo needle >&2; seq 100000"
    program = f"import subprocess\nsubprocess.run({command!r}, shell=True)"
    body = {"code": program, "language": "python"}
    if operation == "execute":
        body = {"command": command}
    path = f"/process/{operation}"
    answer = service.http.post(path, json=body, headers={"X-Toolbox-Streams": "separate"})
    found = answer.json()
    assert set(found) == {"exitCode", "result", "stdout", "stderr"}
    assert found["stderr"] == "needle\n"
    assert found["stdout"].startswith("1\n2\n")
    assert found["stdout"].endswith("\n99999\n100000\n")
    job = answer.headers["X-Toolbox-Job"]
    assert f"[of 1177790: /x/jobs/{job}/output]" in found["stdout"]
    pieces = service.http.get(f"/x/jobs/{job}/output?limit=4194304&encoding=text").json()["pieces"]
    assert "".join(each["data"] for each in pieces if each["stream"] == "stderr") == "needle\n"
    plain = service.http.post(path, json=body)
    assert set(plain.json()) == {"exitCode", "result"}
    wrong = service.http.post(path, json=body, headers={"X-Toolbox-Streams": "both"})
    assert wrong.status_code == 400


@pytest.mark.parametrize(
    ("version", "out", "err"), [("0.20.0", "", ""), ("0.100.0", "\x01" * 3, "\x02" * 3)]
)
def test_long_output_for_an_older_client(
    make_service: Any, version: str, out: str, err: str
) -> None:
    """F-E5: it has both ends, too: the last lines tell what has happened."""
    service = make_service(settings="[process]\nmax_result = 1024\n")
    old = {"X-Daytona-SDK-Version": version}
    service.http.post("/process/session", json={"sessionId": "s"})
    path = "/process/session/s/exec"
    fits = service.http.post(path, json={"command": "printf %1024d 7"}, headers=old)
    assert fits.json()["output"] == out + "7".rjust(1024)
    assert "X-Toolbox-Truncated" not in fits.headers
    over = service.http.post(path, json={"command": "seq 1000; echo end >&2"}, headers=old)
    lines = "".join(f"{number}\n" for number in range(1, 1001))
    job, text = over.headers["X-Toolbox-Job"], over.json()["output"]
    note = f"\n[... 2873 bytes left out ...]\n[of 3897: /x/jobs/{job}/output]\n"
    assert text == f"{out}{lines[:512]}{err}{note}{out}{lines[-508:]}{err}end\n"
    assert over.headers["X-Toolbox-Truncated"] == "2873"
    # A log as text has no limit.
    log = service.http.get(f"/process/session/s/command/{job}/logs", headers=old)
    assert log.text == f"{out}{lines}{err}end\n"


def leave(service: Service, path: str, body: Any, ready: Path) -> None:
    """Ask for something, and go away as soon as it has begun."""
    data = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {service.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", service.port), 30) as client:
        client.sendall(head.encode() + data)
        eventually(ready.exists, "the command")


def test_a_client_that_leaves_leaves_its_place(make_service: Any, tmp_path: Path) -> None:
    """F-F2: what it waited for goes on, with its time limit and its files."""
    service = make_service(settings="[process]\nmax_waiting = 1\n")
    service.http.post("/process/session", json={"sessionId": "s"})
    go = tmp_path / "go"
    wait = f"while [ ! -e {go} ]; do sleep 0.05; done"
    loop = (
        "import os, sys, time\nopen(sys.argv[1], 'w').close()\n"
        f"while not os.path.exists({str(go)!r}): time.sleep(0.05)\n"
        "open(__file__).close()\nopen(sys.argv[1] + '.done', 'w').close()"
    )
    asked = {
        "/process/execute": lambda at: {"command": f"touch {at}; {wait}; touch {at}.done"},
        "/process/session/s/exec": lambda at: {"command": f"touch {at}; {wait}; touch {at}.done"},
        "/process/code-run": lambda at: {
            "code": loop,
            "language": "python",
            "argv": [str(at)],
        },
    }
    begun = []
    for number, (path, body) in enumerate(asked.items()):
        ready = tmp_path / f"ready-{number}"
        leave(service, path, body(ready), ready)
        begun.append(ready)
        eventually(lambda: places_are_free(service), "a free place")
    pid = tmp_path / "pid"
    endless = {"command": f"echo $$ > {pid}.new; mv {pid}.new {pid}; sleep 1000", "timeout": 3}
    leave(service, "/process/execute", endless, pid)
    eventually(lambda: not alive(read_pid(pid)), "the end of its time")
    assert not any(Path(f"{ready}.done").exists() for ready in begun)
    go.touch()
    for ready in begun:
        eventually(Path(f"{ready}.done").exists, "the end")


def places_are_free(service: Service) -> bool:
    answer = service.http.post("/process/execute", json={"command": "echo hi"})
    assert answer.status_code in (200, 503)
    return answer.status_code == 200


def test_the_working_directory_is_gone(make_service: Any, tmp_path: Path) -> None:
    """F-C7: programs start at home, or in the root, and that is told."""
    service = make_service()
    shutil.rmtree(service.work_dir)
    home = f"{service.home}\n"
    answer = service.http.post("/process/execute", json={"command": "pwd"})
    assert answer.json() == {"exitCode": 0, "result": home}
    note = f"no working directory {service.work_dir}: started in {service.home}"
    assert answer.headers["X-Toolbox-Note"] == note
    for language, code in (
        ("python", "import os; print(os.getcwd())"),
        ("javascript", "console.log(process.cwd())"),
    ):
        body = {"code": code, "language": language}
        answer = service.http.post("/process/code-run", json=body)
        assert answer.json() == {"exitCode": 0, "result": home}
        assert answer.headers["X-Toolbox-Note"] == note
    answer = service.http.post("/process/session", json={"sessionId": "s"})
    assert (answer.status_code, answer.content) == (201, b"")
    assert answer.headers["X-Toolbox-Note"] == note
    answer = service.http.post("/process/session/s/exec", json={"command": "pwd"}, headers=NEW)
    assert answer.json()["stdout"] == home
    answer = service.http.post("/process/pty", json={"id": "p"})
    assert answer.headers["X-Toolbox-Note"] == note
    assert service.http.get("/process/pty/p").json()["cwd"] == str(service.home)
    assert service.http.delete("/process/pty/p").status_code == 200
    answer = service.http.post("/process/interpreter/context", json={})
    assert answer.json()["cwd"] == str(service.home)
    assert answer.headers["X-Toolbox-Note"] == note
    answer = service.http.post("/x/jobs", json={"command": "pwd"})
    assert answer.headers["X-Toolbox-Note"] == note
    job = answer.json()["id"]
    assert service.http.get(f"/x/jobs/{job}/wait").json()["exitCode"] == 0
    named = {"command": "pwd", "cwd": str(service.work_dir)}
    assert service.http.post("/process/execute", json=named).json()["exitCode"] == -1
    shutil.rmtree(service.home)
    assert service.http.post("/process/execute", json={"command": "pwd"}).json()["result"] == "/\n"
    service.work_dir.mkdir()
    answer = service.http.post("/process/execute", json={"command": "pwd"})
    assert answer.json()["result"] == f"{service.work_dir}\n"
    assert "X-Toolbox-Note" not in answer.headers


def test_errors_name_no_file_of_ours(service: Service) -> None:
    """F-C19: they say what they say of a command that is given to the shell."""
    service.http.post("/process/session", json={"sessionId": "names"})
    path = "/process/session/names/exec"
    for command in ("no-such-program", "true; cd /none", "echo $((1/0))", "echo 'a'; . /none"):
        short = service.http.post("/process/execute", json={"command": command}).json()
        answer = service.http.post(path, json={"command": command}, headers=NEW).json()
        assert answer["output"] == short["result"]
        long = f"{command}\n: {'x' * 200000}"
        found = service.http.post("/process/execute", json={"command": long}).json()
        assert found["result"] == short["result"]
    for command in ("no-such", "echo (", "cat <<E\n$(no-such)\nE\n"):
        for text in (command, f"{command}\n: {'x' * 200000}"):
            found = service.http.post("/process/execute", json={"command": text}).json()
            assert "/proc/" not in found["result"]
        answer = service.http.post(path, json={"command": command}, headers=NEW).text
        assert "toolbox" not in answer
        assert "/dev/shm" not in answer
