"""A service's output: one log over all runs, within its limit, followed by offset."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
import websocket
from toolbox_process.testing import eventually

LIMIT = 1024 * 1024


def messages(ws: websocket.WebSocket, enough: Any) -> list[Any]:
    """What is sent until ``enough(received)``."""
    received: list[Any] = []
    while not enough(received):
        received.append(json.loads(ws.recv()))
    return received


def data(received: list[Any]) -> str:
    return "".join(each["data"] for each in received if "data" in each)


def test_reading_by_offset_and_from_the_end(services: Any) -> None:
    services.put("s", command="printf '0123456789\\377'", restart="never")
    services.wait("s", "stopped")
    read = services.request("GET", "s", "logs", params={"offset": 2, "limit": 3}).json()
    assert read == {
        "pieces": [{"offset": 2, "stream": "stdout", "data": "234"}],
        "nextOffset": 5,
        "gap": 0,
    }
    assert services.log("s", tail=3) == "89\ufffd"
    assert services.log("s", tail=0) == ""
    assert services.log("s", tail=10**9) == "0123456789\ufffd"
    piece = services.request("GET", "s", "logs", params={"encoding": "base64"}).json()["pieces"][0]
    assert base64.b64decode(piece["data"]) == b"0123456789\xff"
    for bad in ({"offset": -1}, {"limit": 0}, {"limit": 10**10}, {"tail": "x"}, {"encoding": "x"}):
        answer = services.request("GET", "s", "logs", params=bad)
        assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")
    beyond = services.request("GET", "s", "logs", params={"offset": 10**15}).json()
    assert beyond["pieces"] == []


def test_a_job_of_a_service_has_the_output_of_its_run_alone(services: Any) -> None:
    command = 'printf "$RUN\\377"; printf "$RUN" >&2; exec sleep 1000'
    jobs = []
    for run in ("first", "second"):
        services.put("s", command=command, envs={"RUN": run}, ready={"log": run})
        jobs.append(services.wait("s")["jobId"])
        eventually(lambda run=run: services.log("s").count(run) == 2, "both streams")
    for job, run in zip(jobs, ("first", "second"), strict=True):
        http = services.http
        shown = http.get(f"/x/jobs/{job}", params={"preview": "10,10"}).json()
        assert (shown["outputStart"], shown["outputEnd"]) == (0, 2 * len(run) + 1)
        assert shown["stderr"]["head"] == run
        assert shown["stderr"]["bytes"] == len(run)
        query = {"encoding": "base64", "offset": 0}
        read = http.get(f"/x/jobs/{job}/output", params=query).json()
        assert base64.b64decode(read["pieces"][0]["data"])[:5] == run.encode()[:5]
        assert read["nextOffset"] == 2 * len(run) + 1
        beyond = http.get(f"/x/jobs/{job}/output", params={"offset": 1000}).json()
        assert beyond["pieces"] == []
    assert services.log("s").startswith("first")
    ws = services.service.websocket(f"/x/jobs/{jobs[0]}/output?encoding=text")
    received = messages(ws, lambda each: each and "exitCode" in each[-1])
    ws.close()
    assert "second" not in data(received)
    assert data(received).count("first") == 2


def test_the_oldest_output_goes_first(services: Any) -> None:
    command = "seq 1000000; exec sleep 1000"
    services.put("s", command=command, logs={"limit": LIMIT}, ready={"log": "^1000000$"})
    size = len("".join(f"{number}\n" for number in range(1, 1000001)))
    shown = services.until("s", lambda info: info["logEnd"] == size)
    assert shown["logEnd"] - shown["logStart"] <= LIMIT
    read = services.request("GET", "s", "logs", params={"limit": 2 * LIMIT}).json()
    assert read["gap"] == shown["logStart"]
    text = "".join(piece["data"] for piece in read["pieces"])
    assert text.endswith("999999\n1000000\n")
    assert len(text) == shown["logEnd"] - shown["logStart"] >= LIMIT * 3 // 4


def test_the_limit_can_be_changed(services: Any) -> None:
    definition = {"command": "head -c 3000000 /dev/zero; exec sleep 1000"}
    services.put("s", **definition)
    services.until("s", lambda info: info["logEnd"] == 3000000)
    assert services.info("s")["logStart"] == 0
    services.put("s", **definition, logs={"limit": LIMIT})
    shown = services.until("s", lambda info: info["logEnd"] == 6000000)
    assert shown["logEnd"] - shown["logStart"] <= LIMIT


def test_a_gigabyte(services: Any) -> None:
    """It is read as fast as it is written, and neither memory nor disk grows with it."""
    (worker,) = services.service.workers()

    def memory() -> int:
        lines = Path(f"/proc/{worker}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    before = memory()
    command = "head -c 1073741824 /dev/zero; echo end; exec sleep 1000"
    ready = {"log": "^\\0*end$", "timeout": 600}
    services.put("s", command=command, logs={"limit": 1024 * 1024}, ready=ready)
    shown = services.until("s", lambda info: info["logEnd"] == 1073741824 + 4)
    assert shown["logEnd"] - shown["logStart"] <= 1024 * 1024
    assert services.wait("s")["state"] == "ready"
    assert services.log("s", tail=4) == "end\n"
    assert memory() - before < 32 * 1024


def test_following_over_restarts_to_the_deletion(services: Any) -> None:
    services.put("s", command="echo one; exec sleep 1000")
    ws = services.service.websocket("/x/services/s/logs")
    first = messages(ws, lambda got: data(got) == "one\n" and any("state" in each for each in got))
    assert [each["name"] for each in first if "state" in each]
    services.act("s", "restart")
    more = messages(ws, lambda got: data(got) == "one\n" and got[-1].get("state") == "ready")
    states = [each["state"] for each in more if "state" in each]
    assert states[-1] == "ready" and set(states) <= {"starting", "stopped", "ready"}
    services.delete("s")
    while True:
        opcode, message = ws.recv_data(control_frame=True)
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            break
    assert int.from_bytes(message[:2], "big") == 1000
    ws.close()


def test_following_from_near_the_end(services: Any) -> None:
    services.put("s", command="seq 1000; exec sleep 1000", ready={"log": "1000"})
    services.wait("s")
    ws = services.service.websocket("/x/services/s/logs?tail=5")
    assert data(messages(ws, lambda got: len(data(got)) >= 5)) == "1000\n"
    ws.close()


def test_a_follower_that_does_not_read_holds_up_nothing(services: Any) -> None:
    ws = None
    services.put("s", command="sleep 0.2; head -c 50000000 /dev/zero; exec sleep 1000")
    ws = services.service.websocket("/x/services/s/logs")
    services.until("s", lambda info: info["logEnd"] == 50000000)
    services.delete("s")
    ws.close()


def test_secrets_of_definitions_are_not_in_the_log_of_the_service(services: Any) -> None:
    services.put("s", command="exit 1", envs={"KEY": "very-secret-value"}, restart="never")
    services.wait("s")
    assert "very-secret-value" not in services.service.log()


@pytest.mark.parametrize("end", ["delete", "restart"])
def test_nothing_is_left_open(services: Any, end: str) -> None:
    (worker,) = services.service.workers()

    def descriptors() -> int:
        return len(os.listdir(f"/proc/{worker}/fd"))

    def turn() -> None:
        command = "head -c 5000000 /dev/zero; exec sleep 1000"
        services.put("s", command=command, ready={"log": "\\0"})
        services.wait("s")
        services.until("s", lambda info: info["logEnd"] >= 5000000)
        if end == "restart":
            services.act("s", "restart")
            services.until("s", lambda info: info["logEnd"] >= 10000000)
        services.delete("s")

    turn()
    before = descriptors()
    for _ in range(5):
        turn()
    eventually(lambda: descriptors() <= before + 2, "the descriptors of before")
