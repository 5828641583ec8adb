"""``/x/jobs``: what the documented answers have no room for."""

from __future__ import annotations

import base64
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import websocket
from toolbox_process.testing import alive
from toolbox_process.testing import eventually
from toolbox_process.testing import read_pid

from toolbox.testing import Service

LOOP = "while :; do sleep 0.05; done"


def start(service: Service, command: str, **more: Any) -> str:
    answer = service.http.post("/x/jobs", json={"command": command, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def wait(service: Service, job: str) -> Any:
    answer = service.http.get(f"/x/jobs/{job}/wait?timeout=50")
    assert answer.json()["done"], answer.text
    return answer.json()


def output(service: Service, job: str, query: str = "") -> Any:
    return service.http.get(f"/x/jobs/{job}/output?encoding=text{query}").json()


def error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_job_from_start_to_end(service: Service) -> None:
    """AC-25: with its streams apart."""
    job = start(service, "echo out; sleep 0.1; echo err >&2; exit 4")
    info = wait(service, job)
    assert (info["exitCode"], info["reason"], info["kind"]) == (4, "exited", "job")
    assert info["outputEnd"] == 8
    assert output(service, job) == {
        "pieces": [
            {"offset": 0, "stream": "stdout", "data": "out\n"},
            {"offset": 4, "stream": "stderr", "data": "err\n"},
        ],
        "nextOffset": 8,
        "gap": 0,
        "done": True,
    }
    assert output(service, job, "&offset=2&limit=3")["pieces"] == [
        {"offset": 2, "stream": "stdout", "data": "t\n"},
        {"offset": 4, "stream": "stderr", "data": "e"},
    ]
    assert job in [each["id"] for each in service.http.get("/x/jobs").json()["jobs"]]


def test_the_same_id_is_the_same_job(service: Service, tmp_path: Path) -> None:
    """AC-16."""
    file = tmp_path / "count"
    body = {"id": "once", "command": f"echo x >> {file}"}
    answers = [service.http.post("/x/jobs", json=body) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {201}
    assert {answer.json()["id"] for answer in answers} == {"once"}
    wait(service, "once")
    assert service.http.post("/x/jobs", json=body).json()["exitCode"] == 0
    assert file.read_text() == "x\n"
    other = service.http.post("/x/jobs", json={**body, "command": "true"})
    assert error(other) == (409, "CONFLICT")
    body["id"] = "at-once"
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: start(service, **body), range(16)))
    assert set(codes) == {"at-once"}
    wait(service, "at-once")
    assert file.read_text() == "x\nx\n"
    # The id of what something else has started is taken, too.
    answer = service.http.post("/process/execute", json={"command": "true"})
    taken = {**body, "id": answer.headers["X-Toolbox-Job"]}
    assert error(service.http.post("/x/jobs", json=taken)) == (409, "CONFLICT")


def test_standard_input(service: Service) -> None:
    """AC-06: in parts, then its end; an error afterwards."""
    job = start(service, "cat; echo end", stdin=True)
    path = f"/x/jobs/{job}/stdin"
    assert service.http.post(path, content=b"a\0b").status_code == 204
    assert service.http.post(path, content=b"c\n").status_code == 204
    eventually(lambda: output(service, job)["nextOffset"] == 5, "the echo")
    assert service.http.post(f"{path}?eof=true").status_code == 204
    wait(service, job)
    data = service.http.get(f"/x/jobs/{job}/output").json()["pieces"]
    assert b"".join(base64.b64decode(each["data"]) for each in data) == b"a\0bc\nend\n"
    assert error(service.http.post(path, content=b"x")) == (410, "COMMAND_ALREADY_COMPLETED")
    job = start(service, "sleep 1000")
    assert error(service.http.post(f"/x/jobs/{job}/stdin", content=b"x")) == (409, "CONFLICT")
    service.http.delete(f"/x/jobs/{job}")


def test_input_of_a_terminal(service: Service) -> None:
    assert service.http.post("/process/pty", json={"id": "typed"}).status_code == 201
    jobs = service.http.get("/x/jobs").json()["jobs"]
    (job,) = [each["id"] for each in jobs if each["command"] == "typed"]
    path = f"/x/jobs/{job}/stdin"
    # There is no end of it that the program would see.
    assert error(service.http.post(f"{path}?eof=true", content=b"x")) == (409, "CONFLICT")
    assert service.http.post(path, content=b"exit 7\n").status_code == 204
    assert wait(service, job)["exitCode"] == 7


def test_signals(service: Service, pid_file: Path) -> None:
    job = start(service, f"trap 'echo got' USR1; echo $$ > {pid_file}; {LOOP}")
    read_pid(pid_file)
    path = f"/x/jobs/{job}/signal"
    assert service.http.post(path, json={"signal": "USR1"}).status_code == 204
    eventually(lambda: output(service, job)["pieces"], "the trap")
    assert service.http.post(path, json={"signal": 15, "tree": True}).status_code == 204
    assert wait(service, job)["exitCode"] == 143
    assert output(service, job)["pieces"][0]["data"] == "got\n"
    assert error(service.http.post(path, json={"signal": "USR1"})) == (
        410,
        "COMMAND_ALREADY_COMPLETED",
    )
    for bad in ("NONE", 1000, ""):
        assert error(service.http.post(path, json={"signal": bad})) == (400, "BAD_REQUEST")


def test_end_reasons(service: Service) -> None:
    """AC-09."""
    assert wait(service, start(service, "kill -9 $$"))["reason"] == "signal"
    info = wait(service, start(service, "sleep 1000", timeout=1))
    assert (info["reason"], info["exitCode"]) == ("timeout", 143)
    job = start(service, "sleep 1000")
    ended = service.http.delete(f"/x/jobs/{job}").json()
    assert (ended["done"], ended["reason"]) == (True, "cancelled")


def test_the_output_of_a_command_that_took_too_long(service: Service) -> None:
    """AC-03."""
    body = {"command": "echo so far; sleep 1000", "timeout": 1}
    answer = service.http.post("/process/execute", json=body)
    assert answer.status_code == 408
    job = answer.headers["X-Toolbox-Job"]
    assert output(service, job)["pieces"][0]["data"] == "so far\n"
    assert wait(service, job)["reason"] == "timeout"


def test_one_command_of_a_session_can_be_ended(service: Service, tmp_path: Path) -> None:
    """AC-11: without its session's help, and the session goes on."""
    service.http.post("/process/session", json={"sessionId": "cancel"})
    files = [tmp_path / "a", tmp_path / "b"]

    def run(command: str, wait: bool = False) -> Any:
        body = {"command": command, "runAsync": not wait}
        return service.http.post("/process/session/cancel/exec", json=body).json()

    run(f"X=kept; sleep 1000 & echo $! > {files[0]}", wait=True)
    stuck = run(f"sh -c \"trap '' TERM; echo \\$\\$ > {files[1]}; sleep 1000\"")["cmdId"]
    queued = run("echo never")["cmdId"]
    pids = [read_pid(file) for file in files]
    assert service.http.delete(f"/x/jobs/{queued}").json()["reason"] == "cancelled"
    ended = service.http.delete(f"/x/jobs/{stuck}").json()
    assert (ended["reason"], ended["done"], ended["exitCode"]) == ("cancelled", True, 137)
    assert not alive(pids[1])
    assert alive(pids[0]), "what an earlier command left running is not this one's"
    assert run("echo $X", wait=True)["output"] == "kept\n"
    spinning = run("while :; do :; done")["cmdId"]
    assert service.http.delete(f"/x/jobs/{spinning}").json()["done"]
    service.http.delete("/process/session/cancel")
    assert not alive(pids[0])


def test_follow_from_an_offset(service: Service) -> None:
    """AC-23."""
    job = start(service, "echo one; sleep 0.2; echo two >&2")
    ws = service.websocket(f"/x/jobs/{job}/output?offset=2&encoding=text")
    messages = []
    while True:
        opcode, data = ws.recv_data(control_frame=True)
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            break
        if opcode == websocket.ABNF.OPCODE_TEXT:
            messages.append(json.loads(data))
    ws.close()
    assert int.from_bytes(data[:2], "big") == 1000
    assert messages[0] == {"offset": 2, "stream": "stdout", "data": "e\n"}
    assert messages[1] == {"offset": 4, "stream": "stderr", "data": "two\n"}
    assert (messages[2]["id"], messages[2]["exitCode"]) == (job, 0)


def test_a_gap_is_told(make_service: Any) -> None:
    """AC-23: past the bound the middle is dropped, and what is left is told by offset."""
    service = make_service(settings="[process.local]\noutput_limit = 1048576\n")
    job = start(service, "seq 1 1000000")
    info = wait(service, job)
    assert info["outputEnd"] == 6888896
    first = output(service, job, "&limit=4194304")
    assert first["gap"] > 5000000
    text = first["pieces"]
    assert text[0]["data"].startswith("1\n2\n")
    assert text[-1]["data"].endswith("\n999999\n1000000\n")
    assert first["nextOffset"] == 6888896
    assert sum(len(each["data"]) for each in text) <= 1048576 + 65536


def test_followers_are_counted(make_service: Any) -> None:
    """AC-27: one too many is told so, and there is a place again when one leaves."""
    service = make_service(settings="[process.local]\nmax_followers = 2\n")
    job = start(service, "echo out; sleep 1000")
    service.http.post("/process/session", json={"sessionId": "s"})
    body = {"command": "echo out; sleep 1000", "runAsync": True}
    command = service.http.post("/process/session/s/exec", json=body).json()["cmdId"]
    service.http.post("/process/pty", json={"id": "p"})

    def ends(path: str) -> tuple[int, list[str]]:
        ws = service.websocket(path)
        texts: list[str] = []
        while True:
            opcode, data = ws.recv_data(control_frame=True)
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                ws.close()
                return int.from_bytes(data[:2], "big"), texts
            texts.append(data.decode())

    for path, told in [
        (f"/x/jobs/{job}/output", []),
        (f"/process/session/s/command/{command}/logs?follow=true", []),
        ("/process/pty/p/connect", ["error"]),
    ]:
        two = [service.websocket(path) for _ in range(2)]
        for ws in two:
            assert ws.recv()
        code, texts = ends(path)
        assert (code, [json.loads(each)["status"] for each in texts]) == (1013, told)
        two.pop().close()
        eventually(lambda path=path: stays(service, path), "a free place")
        two.pop().close()


def stays(service: Service, path: str) -> bool:
    """Whether a follower is told something that isn't an end."""
    ws = service.websocket(path)
    opcode, data = ws.recv_data(control_frame=True)
    ws.close()
    return opcode != websocket.ABNF.OPCODE_CLOSE and b'"error"' not in data


@pytest.mark.parametrize("query", ["offset=-1", "limit=0", "limit=x", "encoding=utf-7"])
def test_bad_queries(service: Service, query: str) -> None:
    job = start(service, "true")
    answer = service.http.get(f"/x/jobs/{job}/output?{query}")
    assert error(answer) == (400, "BAD_REQUEST")


def test_errors(service: Service) -> None:
    for method, path in [
        ("GET", "/x/jobs/none"),
        ("GET", "/x/jobs/none/output"),
        ("GET", "/x/jobs/none/wait"),
        ("POST", "/x/jobs/none/stdin"),
        ("DELETE", "/x/jobs/none"),
    ]:
        assert error(service.http.request(method, path)) == (404, "PROCESS_NOT_FOUND")
    for body in ({"command": " "}, {"command": "x", "cwd": "/no/such/place"}):
        assert error(service.http.post("/x/jobs", json=body)) == (400, "BAD_REQUEST")
    for bad in (
        {"command": "x", "id": "a/b"},
        {"command": "x", "id": "a\n"},
        {"id": "x"},
        {"command": "x", "timeout": -1},
    ):
        answer = service.http.post("/x/jobs", json=bad)
        assert error(answer) == (400, "INVALID_REQUEST_BODY")


def test_output_is_forgotten_by_size_and_by_age(make_service: Any) -> None:
    """AC-26, AC-43: only of what has ended, and though nothing else happens."""
    settings = "[process.local]\ntotal_output_limit = 1048576\nkeep_seconds = 3\n"
    service = make_service(settings=settings)
    running = start(service, "echo here; sleep 1000")
    eventually(lambda: output(service, running)["pieces"], "the output")
    service.http.post("/process/session", json={"sessionId": "idle"}).raise_for_status()
    command = {"command": "KEPT=1; sleep 1000 & echo $!"}
    below = int(service.http.post("/process/session/idle/exec", json=command).json()["output"])
    service.http.post("/process/pty", json={"id": "idle"}).raise_for_status()
    context = service.http.post("/process/interpreter/context", json={}).json()["id"]
    first, second = (start(service, "seq 100000") for _ in range(2))
    for job in (first, second):
        service.http.get(f"/x/jobs/{job}/wait?timeout=50")
    eventually(lambda: service.http.get(f"/x/jobs/{first}").status_code == 404, "the size")
    eventually(lambda: service.http.get(f"/x/jobs/{second}").status_code == 404, "the age")
    assert output(service, running)["pieces"][0]["data"] == "here\n"
    # Shells that nobody has used for longer than that are as they were.
    again = service.http.post("/process/session/idle/exec", json={"command": "echo $KEPT"})
    assert again.json()["output"] == "1\n"
    assert alive(below)
    assert service.http.get("/process/pty/idle").json()["active"]
    contexts = service.http.get("/process/interpreter/context").json()["contexts"]
    assert [(each["id"], each["active"]) for each in contexts] == [(context, True)]


def test_finished_jobs_are_forgotten_at_some_time(make_service: Any) -> None:
    """AC-26."""
    service = make_service(settings="[process.local]\nkeep_jobs = 5\n")
    jobs = []
    for number in range(20):
        # One after the other: who ends first is forgotten first.
        jobs.append(start(service, f"echo {number}"))
        wait(service, jobs[-1])
    eventually(lambda: len(service.http.get("/x/jobs").json()["jobs"]) == 5, "forgetting")
    assert error(service.http.get(f"/x/jobs/{jobs[0]}")) == (404, "PROCESS_NOT_FOUND")


def test_answered_commands_push_no_job_out(make_service: Any) -> None:
    """AC-26: what is kept is kept for those who come back for it."""
    service = make_service(settings="[process.local]\nkeep_jobs = 5\n")
    job = start(service, "echo kept")
    wait(service, job)
    for _ in range(10):
        service.http.post("/process/execute", json={"command": "true"}).raise_for_status()
    eventually(lambda: len(service.http.get("/x/jobs").json()["jobs"]) == 6, "forgetting")
    assert output(service, job)["pieces"][0]["data"] == "kept\n"


def test_output_of_finished_jobs_takes_a_part_of_the_descriptors(make_service: Any) -> None:
    """AC-26: what is too long for memory is in files, which stay open to be read."""
    service = make_service(wrapper=("prlimit", "--nofile=256"))
    for _ in range(260):
        answer = service.http.post("/process/execute", json={"command": "seq 20000"})
        assert answer.json()["exitCode"] == 0
    (worker,) = service.workers()
    assert 64 <= len(os.listdir(f"/proc/{worker}/fd")) < 128
