"""The fields of ``POST /x/jobs``: program, input, user, and a file with all of the output."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from toolbox_process.testing import eventually

from toolbox.testing import Service

NOBODY = 65534


def start(service: Service, query: str = "", **body: Any) -> Any:
    answer = service.http.post(f"/x/jobs{query}", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def run(service: Service, **body: Any) -> Any:
    """Run a job to its end."""
    info = start(service, "?wait=50&preview=4000,4000", **body)
    assert info["done"]
    return info


def stdout(info: Any) -> str:
    assert info["stdout"]["omitted"] == 0
    text: str = info["stdout"]["head"]
    return text


def refused(service: Service, **body: Any) -> str:
    answer = service.http.post("/x/jobs", json=body)
    assert answer.status_code == 400, answer.text
    message: str = answer.json()["message"]
    return message


def test_arguments_arrive_as_they_are(service: Service) -> None:
    arguments = ["a b", "$HOME", "*", "", "-x", "é\n", "'\""]
    info = run(service, argv=["printf", "<%s>", *arguments])
    assert stdout(info) == "".join(f"<{argument}>" for argument in arguments)
    assert info["command"].startswith("printf '<%s>' 'a b' '$HOME'")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"command": "true", "argv": ["true"]},
        {"command": " "},
        {"argv": []},
        {"argv": [""]},
        {"argv": ["true", "a\0b"]},
        {"argv": ["/none/such"]},
        {"argv": ["/etc/passwd"]},
        {"argv": ["true", "x" * 200_000]},
        {"command": "true", "user": "nosuchuser"},
        {"command": "true", "user": "a\0b"},
        {"command": "true", "user": "99999999999:1"},
        {"command": "true", "user": "4294967295:1"},
        {"command": "true", "user": "²:1"},
        {"command": "true", "input": "***", "inputEncoding": "base64"},
        {"command": "true", "input": "é", "inputEncoding": "base64"},
        {"command": "true", "input": "x" * (9 << 20), "stdin": True},
        {"command": "true", "limits": {"memory": 1}},
        {"command": "true", "limits": {"cpu": 0}},
        {"command": "true", "limits": {"pids": 10**30}},
        {"command": "true", "pty": {"rows": 0}},
        {"command": "true", "outputFile": ""},
        {"command": "true", "outputFile": "a\0b"},
        {"command": "true", "outputFile": "/"},
        {"command": "true", "outputFile": "none/such"},
        {"command": "true", "outputFile": "x" * 300},
        {"command": "true", "outputFile": "/dev/full"},
        {"command": "true", "outputFile": "/dev/tty"},
    ],
    ids=str,
)
def test_what_can_not_be_run(service: Service, body: Any) -> None:
    assert refused(service, **body)


def test_a_lone_surrogate_is_replaced(service: Service) -> None:
    answer = service.http.post(
        "/x/jobs?wait=50&preview=99,9",
        content=rb'{"argv": ["cat"], "input": "a\ud83d"}',
        headers={"Content-Type": "application/json"},
    )
    assert stdout(answer.json()) == "a\ufffd"


@pytest.mark.parametrize("size", [0, 1, 70_000, 10 << 20])
def test_input_of_any_size(service: Service, size: int) -> None:
    data = os.urandom(size)
    encoded = base64.b64encode(data).decode()
    info = run(service, argv=["sha256sum"], input=encoded, inputEncoding="base64")
    assert stdout(info).split()[0] == hashlib.sha256(data).hexdigest()
    # Never by an argument, which all of the machine may read.
    assert info["command"] == "sha256sum"


def test_input_and_then_more(service: Service) -> None:
    job = start(service, command="cat; echo end", input="first ", stdin=True)["id"]
    path = f"/x/jobs/{job}/stdin?eof=true"
    assert service.http.post(path, content=b"second ").status_code == 204
    info = service.http.get(f"/x/jobs/{job}/wait?timeout=50&preview=99,0").json()
    assert stdout(info) == "first second end\n"


def test_input_that_is_never_read(service: Service) -> None:
    info = run(service, command="echo unread", input="x" * (6 << 20))
    assert (stdout(info), info["exitCode"]) == ("unread\n", 0)
    job = start(service, command="sleep 1000", input="x" * (6 << 20), stdin=True)["id"]
    assert service.http.delete(f"/x/jobs/{job}").json()["reason"] == "cancelled"


def test_the_same_id_with_another_input(service: Service) -> None:
    body: Any = {"id": "with-input", "argv": ["cat"], "input": "one"}
    assert start(service, **body)["id"] == start(service, **body)["id"]
    answer = service.http.post("/x/jobs", json={**body, "input": "two"})
    assert answer.status_code == 409


def test_a_terminal(service: Service) -> None:
    info = run(service, command="stty size; tty; echo $TERM", pty={"rows": 30, "cols": 100})
    size, name, term = stdout(info).split("\r\n")[:3]
    assert size == "30 100"
    assert name.startswith("/dev/")
    assert term == "xterm-256color"
    job = start(service, command="read x; echo got $x", pty={}, input="typed\n")["id"]
    info = service.http.get(f"/x/jobs/{job}/wait?timeout=50&preview=99,0").json()
    assert stdout(info).endswith("got typed\r\n")


# Another user


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory that every user may enter."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    made = Path(tempfile.mkdtemp(prefix="toolbox-test-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


def test_another_user(service: Service, shared: Path) -> None:
    home = shared / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    script = "id -u; id -g; echo $USER; cat; : > made; : > /dev/stdout; exit 4"
    info = run(
        service, argv=["/bin/sh", "-c", script], user="nobody", cwd=str(home), input="read\n"
    )
    assert (stdout(info), info["exitCode"]) == (f"{NOBODY}\n{NOBODY}\nnobody\nread\n", 4)
    assert (home / "made").stat().st_uid == NOBODY
    numbers = run(service, argv=["/usr/bin/id", "-u"], user="12345:12345", cwd="/")
    assert stdout(numbers) == "12345\n"
    assert stdout(run(service, argv=["id", "-u"], user="root", cwd="/")) == "0\n"
    assert "denied" in refused(service, argv=["/bin/true"], user="nobody", cwd="/root")
    terminal = run(service, command="id -u; : > /dev/tty", user="nobody", cwd="/", pty={})
    assert stdout(terminal) == f"{NOBODY}\r\n"
    job = start(service, argv=["/bin/sleep", "1000"], user="nobody", cwd="/")["id"]
    assert service.http.delete(f"/x/jobs/{job}").json()["reason"] == "cancelled"


def test_a_file_is_written_with_the_rights_of_the_user(service: Service, shared: Path) -> None:
    theirs = shared / "theirs"
    theirs.mkdir()
    os.chown(theirs, NOBODY, NOBODY)
    body = {"argv": ["/bin/echo", "x"], "user": "nobody", "cwd": "/"}
    info = run(service, **body, outputFile=str(theirs / "out"))
    assert info["outputFile"] == {"path": str(theirs / "out"), "bytes": 2, "error": None}
    assert (theirs / "out").stat().st_uid == NOBODY
    # Wherever a link of theirs leads, it must not be used to overwrite what isn't.
    secret = shared / "secret"
    secret.write_text("kept")
    (theirs / "link").symlink_to(secret)
    assert "denied" in refused(service, **body, outputFile=str(theirs / "link"))
    assert "denied" in refused(service, **body, outputFile=str(shared / "new"))
    assert secret.read_text() == "kept"
    # The thread has its rights back.
    assert run(service, command="true", outputFile=str(shared / "own"))["outputFile"]["bytes"] == 0


# A file with all of the output


def test_the_whole_output_in_a_file(service: Service) -> None:
    file = service.work_dir / "below" / "out"
    file.parent.mkdir(exist_ok=True)
    file.write_text("what was there before, which is longer than what comes")
    code = r"printf 'a\000\377'; echo e >&2; head -c 3000000 /dev/zero"
    info = run(service, command=code, cwd="below", outputFile="out")
    assert info["outputFile"] == {"path": str(file), "bytes": 3000005, "error": None}
    written = file.read_bytes()
    assert len(written) == 3000005
    # The two pipes are read one after the other, however short the time between two writes.
    assert sorted(written.replace(b"\0", b"")) == sorted(b"a\377e\n")
    # What comes after the end is not in it, and nothing of ours holds it open.
    (worker,) = service.workers()
    held = [os.readlink(path) for path in Path(f"/proc/{worker}/fd").iterdir() if path.exists()]
    assert str(file) not in held


def test_a_file_on_a_full_disk(service: Service) -> None:
    """The job goes on, and all of its output is kept as ever."""
    where = Path(tempfile.mkdtemp(prefix="toolbox-test-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(where)], check=True)
    try:
        info = run(service, command="head -c 3000000 /dev/zero", outputFile=str(where / "out"))
        assert info["outputFile"]["error"] == "No space left on device"
        assert info["outputFile"]["bytes"] == (where / "out").stat().st_size
        assert 500_000 < info["outputFile"]["bytes"] <= 1 << 20
        assert (info["exitCode"], info["stdout"]["bytes"]) == (0, 3000000)
    finally:
        subprocess.run(["umount", "--lazy", str(where)], check=True)
        where.rmdir()


def test_a_file_that_vanishes(service: Service, tmp_path: Path) -> None:
    directory = tmp_path / "short-lived"
    directory.mkdir()
    command = f"echo x; rm -r {directory}; echo y"
    info = run(service, command=command, outputFile=str(directory / "out"))
    assert "No such file" in info["outputFile"]["error"]
    file = tmp_path / "out"
    command = f"echo x; rm {file}; echo other > {file}"
    info = run(service, command=command, outputFile=str(file))
    assert info["outputFile"]["error"] == "another file has taken its place"


def test_a_file_that_is_none(service: Service, tmp_path: Path) -> None:
    """Nothing waits for the reader of a FIFO."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert "not a regular file" in refused(service, command="echo x", outputFile=str(fifo))
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert "not a regular file" in refused(service, command="echo x", outputFile=str(fifo))
    finally:
        os.close(reading)
    assert "not a regular file" in refused(service, command="echo x", outputFile="/dev/null")


def test_a_program_that_is_missing_leaves_no_descriptor(service: Service, tmp_path: Path) -> None:
    (worker,) = service.workers()

    def count() -> int:
        return sum(1 for _ in Path(f"/proc/{worker}/fd").iterdir())

    refused(service, argv=["/none"], outputFile=str(tmp_path / "out"), input="x")
    before = count()
    for _ in range(20):
        refused(
            service,
            argv=["/none"],
            outputFile=str(tmp_path / "out"),
            input="x",
            limits={"memory": 1 << 30},
        )
    eventually(lambda: count() <= before + 3, "the end of all descriptors")
