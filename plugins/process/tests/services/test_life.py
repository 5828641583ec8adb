"""The life of a service: start, restarts, stop, deletion, and what it leaves behind."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from toolbox_process.testing import alive
from toolbox_process.testing import eventually
from toolbox_process.testing import read_pid

FAST = {"backoff": {"first": 0.02, "limit": 0.05}}


def test_from_definition_to_deletion(services: Any) -> None:
    shown = services.put("web", command="echo out; echo err >&2; exec sleep 1000")
    assert shown["name"] == "web" and not shown["declared"]
    ready = services.wait("web")
    assert (ready["state"], ready["restarts"]) == ("ready", 0)
    assert alive(ready["pid"])
    assert services.info("web")["definition"] == {
        "command": "echo out; echo err >&2; exec sleep 1000"
    }
    listed = services.http.get("/x/services").json()["services"]
    assert [each["name"] for each in listed] == ["web"]
    pieces = services.request("GET", "web", "logs").json()["pieces"]
    assert {piece["stream"]: piece["data"] for piece in pieces} == {
        "stdout": "out\n",
        "stderr": "err\n",
    }
    jobs = services.http.get("/x/jobs").json()["jobs"]
    assert ready["jobId"] in [job["id"] for job in jobs if job["kind"] == "service"]
    stopped = services.act("web", "stop")
    assert (stopped["state"], stopped["reason"], stopped["pid"]) == ("stopped", "stopped", None)
    assert not alive(ready["pid"])
    started = services.act("web", "start")
    assert started["state"] == "starting" and alive(started["pid"])
    eventually(lambda: services.info("web")["logEnd"] == 16, "the output of the second run")
    again = services.act("web", "restart")
    assert not alive(started["pid"]) and alive(again["pid"])
    # One log over all runs.
    eventually(lambda: services.log("web").count("out\n") == 3, "the output of three runs")
    assert again["runStart"] == 16
    services.delete("web")
    assert not alive(again["pid"])
    assert services.request("GET", "web").json()["code"] == "SERVICE_NOT_FOUND"
    assert services.http.get("/x/services").json()["services"] == []


def test_the_same_definition_changes_nothing_and_another_restarts(services: Any) -> None:
    definition = {"argv": ["sleep", "1000"], "envs": {"A": "1"}, "restart": "always"}
    answers = [services.request("PUT", "s", json=definition) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 200, 200]
    assert len({answer.json()["pid"] for answer in answers}) == 1
    # Named with its defaults it is the same.
    assert (
        services.put("s", **definition, ready=None, keepalive=False)["pid"]
        == answers[0].json()["pid"]
    )
    changed = services.put("s", **{**definition, "envs": {"A": "2"}})
    assert changed["pid"] != answers[0].json()["pid"]
    assert not alive(answers[0].json()["pid"])
    # What was stopped stays so, until it is something else.
    services.act("s", "stop")
    assert services.put("s", **{**definition, "envs": {"A": "2"}})["state"] == "stopped"
    assert services.put("s", **definition)["state"] == "starting"


def test_the_environment_and_directory(services: Any, tmp_path: Path) -> None:
    services.put(
        "s", command='echo "$X" "$PWD"', cwd=str(tmp_path), envs={"X": "ä b"}, restart="never"
    )
    ended = services.wait("s", "stopped")
    assert (ended["state"], ended["exitCode"], ended["reason"]) == ("stopped", 0, "exited")
    assert services.log("s") == f"ä b {tmp_path}\n"


@pytest.mark.parametrize(
    ("restart", "command", "state"),
    [
        ("never", "exit 3", "failed"),
        ("never", "exit 0", "stopped"),
        ("never", "kill -9 $$", "failed"),
        ("on-failure", "exit 0", "stopped"),
    ],
)
def test_ends_without_a_restart(services: Any, restart: str, command: str, state: str) -> None:
    services.put("s", command=command, restart=restart)
    ended = services.wait("s")
    assert (ended["state"], ended["restarts"]) == (state, 0)


def test_one_that_dies_at_once_is_started_again_ever_later(services: Any) -> None:
    services.put("s", command="echo x; exit 3", backoff={"first": 0.02, "limit": 1000})
    shown = services.until("s", lambda info: info["restarts"] >= 4)
    assert (shown["exitCode"], shown["reason"]) == (3, "exited")
    stopped = services.act("s", "stop")
    assert stopped["state"] == "stopped"
    runs = services.log("s").count("x\n")
    # The last one may have been stopped before it wrote.
    assert runs - stopped["restarts"] in (0, 1)
    # It begins anew.
    services.act("s", "start")
    assert services.until("s", lambda info: info["restarts"] >= 2)["state"] in (
        "backoff",
        "starting",
    )


def test_one_that_ends_well_is_started_again_if_always(services: Any) -> None:
    services.put("s", command="exit 0", restart="always", **FAST)
    services.until("s", lambda info: info["restarts"] >= 3)


def test_a_restart_waits_and_a_start_does_not(services: Any, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    command = f"test -e {flag} || exit 1; exec sleep 1000"
    services.put("s", command=command, backoff={"first": 3600, "limit": 3600})
    services.until("s", lambda info: info["state"] == "backoff")
    flag.touch()
    services.act("s", "start")
    assert services.wait("s")["state"] == "ready"


def test_a_program_that_is_not_there(services: Any, tmp_path: Path) -> None:
    failed = services.put("s", argv=["/none/such"], restart="never")
    assert (failed["state"], failed["reason"]) == ("failed", "spawn-failed")
    assert "/none/such" in failed["message"]
    # It may come.
    program = tmp_path / "program"
    services.put("later", argv=[str(program)], **FAST)
    services.until("later", lambda info: info["restarts"] >= 2)
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    program.chmod(0o755)
    assert services.wait("later")["state"] == "ready"


def test_one_that_puts_itself_in_the_background_leaves_nothing(
    services: Any, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    command = f"setsid -f env -i sh -c 'echo $$ > {pid_file}; exec sleep 1000';"
    command += f" until test -s {pid_file}; do sleep 0.02; done"
    services.put("s", command=command, restart="never")
    failed = services.wait("s")
    assert (failed["state"], failed["reason"], failed["exitCode"]) == ("failed", "background", 0)
    assert "foreground" in failed["message"]
    assert not alive(read_pid(pid_file))


def test_everything_it_has_started_ends_with_it(services: Any, tmp_path: Path) -> None:
    files = [tmp_path / f"pid{number}" for number in range(3)]
    # A child, a daemon, and one that ignores TERM.
    command = (
        f"sleep 1000 & echo $! > {files[0]};"
        f" setsid -f sh -c 'echo $$ > {files[1]}; exec sleep 1000';"
        f" sh -c 'trap \"\" TERM; echo $$ > {files[2]}; while :; do sleep 0.05; done'"
    )
    services.put("s", command=command, grace=0.1)
    first = [read_pid(file) for file in files]
    for file in files:
        file.unlink()
    services.act("s", "restart")
    assert not [pid for pid in first if alive(pid)]
    second = [read_pid(file) for file in files]
    services.delete("s")
    assert not [pid for pid in second if alive(pid)]


def test_its_death_takes_what_it_has_started_before_the_next_run(
    services: Any, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    command = f"test -e {pid_file} && exec sleep 1000; sleep 999 & echo $! > {pid_file}; exit 1"
    services.put("s", command=command, **FAST)
    assert services.wait("s")["restarts"] == 1
    assert not alive(read_pid(pid_file))


def test_a_hundred_at_once(services: Any) -> None:
    def put(number: int) -> Any:
        ready = {"log": "^up", "timeout": 600}
        return services.put(f"s{number}", command="echo up; exec sleep 1000", ready=ready)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(put, range(100)))
        infos = list(pool.map(lambda number: services.wait(f"s{number}"), range(100)))
        pids = [info["pid"] for info in infos]
        listed = services.http.get("/x/services").json()["services"]
        assert {each["state"] for each in listed} == {"ready"} and len(listed) == 100
        list(pool.map(lambda number: services.delete(f"s{number}"), range(100)))
    assert not [pid for pid in pids if alive(pid)]


def test_many_that_die_at_once_hold_up_nobody(services: Any) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: services.put(f"s{n}", command="exit 1", **FAST), range(40)))
    services.until("s39", lambda info: info["restarts"] >= 2)
    answer = services.http.post("/process/execute", json={"command": "echo well"})
    assert answer.json()["result"] == "well\n"


def test_one_name_from_many_clients(services: Any) -> None:
    """Whatever the order: one service, one program, and the definition that was last."""

    def turn(number: int) -> int:
        if number % 3:
            body = {"command": f"exec sleep {1000 + number % 2}"}
            return int(services.request("PUT", "s", json=body).status_code)
        return int(services.request("DELETE", "s").status_code)

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(turn, range(48))) <= {200, 201, 204, 404}
    services.put("s", command="exec sleep 1002")
    running = services.http.get("/x/jobs").json()["jobs"]
    assert len([job for job in running if job["kind"] == "service" and not job["done"]]) == 1


def test_it_keeps_the_sandbox_busy_only_if_asked_to(services: Any) -> None:
    def running() -> int:
        return int(services.http.get("/x/activity").json()["runningJobs"])

    services.put("s", command="exec sleep 1000")
    services.wait("s")
    assert running() == 0
    services.put("t", command="exec sleep 1000", keepalive=True)
    assert running() == 1
    services.act("t", "stop")
    assert running() == 0


def test_its_states_are_metrics(services: Any) -> None:
    services.put("s", command="exec sleep 1000")
    services.wait("s")
    lines = services.http.get("/metrics").text.splitlines()
    assert 'toolbox_process_services{state="ready"} 1.0' in lines


def test_a_client_that_waits(services: Any, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    command = f"until test -e {flag}; do sleep 0.02; done; echo go; exec sleep 1000"
    services.put("s", command=command, ready={"log": "go"})
    assert services.wait("s", timeout=0)["state"] == "starting"
    assert services.wait("s", timeout=0.1)["state"] == "starting"
    with ThreadPoolExecutor(2) as pool:
        ready = pool.submit(services.wait, "s")
        flag.touch()
        assert ready.result()["state"] == "ready"
        stopped = pool.submit(services.wait, "s", "stopped")
        services.act("s", "stop")
        assert stopped.result()["state"] == "stopped"


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ({}, "either command or argv"),
        ({"command": "x", "argv": ["x"]}, "either command or argv"),
        ({"command": " \n"}, "the command is empty"),
        ({"argv": []}, "argv has no program"),
        ({"argv": ["a", "b\0"]}, "NUL"),
        ({"command": "x", "cwd": "\0"}, "NUL"),
        ({"command": "x", "envs": {"": "1"}}, "variable name"),
        ({"command": "x", "envs": {"A": "\0"}}, "NUL"),
        ({"command": "x", "restart": "sometimes"}, "sometimes"),
        ({"command": "x", "grace": -1}, "grace"),
        ({"command": "x", "logs": {"limit": 10}}, "limit"),
        ({"command": "x", "backoff": {"first": 0}}, "first"),
        ({"command": "x" * 300_000}, "longer than"),
        ({"command": "x", "ready": {}}, "one of port, http and log"),
        ({"command": "x", "ready": {"port": 1, "log": "x"}}, "one of port, http and log"),
        ({"command": "x", "ready": {"port": 0}}, "port"),
        ({"command": "x", "ready": {"port": 1, "status": 200}}, "status"),
        ({"command": "x", "ready": {"log": "("}}, "regular expression"),
        ({"command": "x", "ready": {"log": "(" * 900}}, "regular expression"),
        ({"command": "x", "ready": {"log": "a" * 2000}}, "characters"),
        ({"command": "x", "ready": {"http": "/"}}, "needs the port"),
        ({"command": "x", "ready": {"http": "http://example.com/"}}, "localhost"),
        ({"command": "x", "ready": {"http": "http://127.0.0.1.example.com/"}}, "localhost"),
        ({"command": "x", "ready": {"http": "http://localhost@169.254.169.254/"}}, "localhost"),
        ({"command": "x", "ready": {"http": "https://localhost/"}}, "localhost"),
        ({"command": "x", "ready": {"http": "file:///etc/passwd"}}, "localhost"),
        ({"command": "x", "ready": {"http": "http://localhost:0/"}}, "port"),
        ({"command": "x", "ready": {"http": "http://localhost:99999/"}}, "ort"),
        ({"command": "x", "ready": {"http": "http://localhost/a b"}}, "ASCII"),
        ({"command": "x", "ready": {"port": 1, "http": "/\r\nX: y"}}, "ASCII"),
    ],
)
def test_definitions_that_are_refused(
    services: Any, definition: dict[str, Any], message: str
) -> None:
    assert message in services.refuse("s", **definition)
    assert services.request("GET", "s").status_code == 404


def test_half_a_surrogate_pair_becomes_a_character(services: Any) -> None:
    body = json.dumps({"command": "echo '\ud800'", "restart": "never"})
    answer = services.request("PUT", "s", content=body)
    assert answer.status_code in (201, 400), answer.text


@pytest.mark.parametrize("name", ["a%0a", ".a", "a%00", "a b", "ä", "..%2f..", "a" * 65, "%ff"])
def test_names_that_are_refused(services: Any, name: str) -> None:
    answer = services.request("PUT", name, json={"command": "true"})
    assert answer.status_code in (400, 404), answer.text
    assert services.http.get("/x/services").json()["services"] == []
