"""Sandboxes of their own: created, stopped, suspended, started again and deleted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from daytona import CreateSandboxFromSnapshotParams
from daytona import Daytona
from daytona import DaytonaConfig
from toolbox_fleet.local.running.starting import listen

from toolbox.handover.command import find_masters
from toolbox.handover.report import read_report
from toolbox.linux.procfs import read_state
from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN

Fleets = Callable[..., Any]


def test_without_sandboxes_nothing_is_made(make_fleet: Fleets) -> None:
    fleet = make_fleet()
    assert fleet.call("GET", "/api/sandbox")["items"] == []
    assert fleet.http.get("/api/sandbox/nobody").status_code == 404
    assert not fleet.data.exists()


@pytest.mark.parametrize("isolation", ["bubblewrap", "none"])
def test_a_life(make_fleet: Fleets, isolation: str) -> None:
    fleet = make_fleet(f'isolation = "{isolation}"\n')
    sandbox = fleet.create(name="mine", env={"COLOR": "red"}, labels={"a": "b"})
    assert sandbox["labels"] == {"a": "b", "code-toolbox-language": "python"}
    assert fleet.get("mine")["id"] == sandbox["id"]
    assert fleet.run(sandbox, "echo $COLOR; echo file > kept").strip() == "red"
    fleet.call("POST", f"/api/sandbox/{sandbox['id']}/stop")
    stopped = fleet.wait("mine", "stopped")
    assert stopped["desiredState"] == "stopped"
    assert fleet.marked(sandbox["id"]) == set()
    fleet.call("POST", "/api/sandbox/mine/start")
    started = fleet.wait("mine", "started")
    # A client that keeps its URL finds it there.
    assert started["toolboxProxyUrl"] == sandbox["toolboxProxyUrl"]
    assert fleet.run(sandbox, "cat ~/kept").strip() == "file"
    fleet.delete(sandbox["id"])
    assert fleet.marked(sandbox["id"]) == set()
    assert list((fleet.data / "sandboxes").iterdir()) == []
    assert list((fleet.data / "trash").iterdir()) == []


def test_an_sdk_creates_uses_and_deletes_one(fleet: Any) -> None:
    config = DaytonaConfig(api_key=TOKEN, api_url=f"{fleet.service.url}/api", target="local")
    daytona = Daytona(config)
    sandbox = daytona.create(CreateSandboxFromSnapshotParams(env_vars={"A": "1"}))
    try:
        assert sandbox.process.exec("echo $A").result.strip() == "1"
        work_dir = sandbox.get_work_dir()
        assert work_dir and sandbox.process.exec("pwd").result.strip() == work_dir
        assert sandbox.get_user_home_dir() == sandbox.process.exec("echo $HOME").result.strip()
        sandbox.fs.upload_file(b"content", "file.txt")
        assert sandbox.process.code_run("print(open('file.txt').read())").result == "content\n"
        sandbox.stop()
        sandbox.start()
        assert sandbox.fs.download_file("file.txt") == b"content"
    finally:
        daytona.delete(sandbox)
        dispatcher = daytona._event_dispatcher
        assert dispatcher is not None and dispatcher._bg_thread is not None
        dispatcher._bg_thread.join(DEADLINE)
        dispatcher.disconnect()
    fleet.wait_gone(sandbox.id)


@pytest.mark.parametrize("isolation", ["bubblewrap", "none"])
def test_a_suspended_sandbox_does_nothing_and_goes_on(make_fleet: Fleets, isolation: str) -> None:
    fleet = make_fleet(f'isolation = "{isolation}"\n')
    sandbox = fleet.create()
    ticks = 'nohup sh -c "while :; do date +%s%N > tick; done" >/dev/null 2>&1 &'
    fleet.run(sandbox, ticks)
    fleet.call("POST", f"/api/sandbox/{sandbox['id']}/pause")
    fleet.wait(sandbox["id"], "paused")
    # bwrap's own first processes only wait for the others.
    running = {
        pid
        for pid in fleet.marked(sandbox["id"])
        if b"toolbox\0serve" in Path(f"/proc/{pid}/cmdline").read_bytes()
        and b"bwrap" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    }
    assert running and {read_state(pid) for pid in running} <= {"T", "D"}
    fleet.call("POST", f"/api/sandbox/{sandbox['id']}/start")
    fleet.wait(sandbox["id"], "started")
    before = fleet.run(sandbox, "cat tick")
    fleet.service.wait_for(lambda: fleet.run(sandbox, "cat tick") != before, "a tick")


def test_deletion_wins_over_creation(make_fleet: Fleets) -> None:
    fleet = make_fleet()
    created = fleet.call("POST", "/api/sandbox", json={"name": "short"})
    assert created["state"] == "creating"
    assert fleet.call("DELETE", f"/api/sandbox/{created['id']}")["state"] == "destroying"
    # Its name is free at once.
    again = fleet.call("POST", "/api/sandbox", json={"name": "short"})
    fleet.wait_gone(created["id"])
    assert fleet.marked(created["id"]) == set()
    fleet.wait(again["id"], "started")


STUBBORN = (
    "nohup setsid sh -c \"trap '' TERM HUP INT; while :; do read x < /dev/zero; done\""
    " >/dev/null 2>&1 &"
    " nohup env -i setsid setsid sh -c \"trap '' TERM; while :; do read x </dev/zero; done\""
    " >/dev/null 2>&1 &"
)


@pytest.mark.parametrize("isolation", ["bubblewrap", "none"])
@pytest.mark.parametrize("force", ["true", "false"])
def test_a_stop_ends_also_what_resists(make_fleet: Fleets, isolation: str, force: str) -> None:
    fleet = make_fleet(f'isolation = "{isolation}"\n')
    sandbox = fleet.create()
    fleet.run(sandbox, STUBBORN.replace("read x", "read fleet_test_child"))
    below = fleet.tree(sandbox["id"])
    fleet.call("POST", f"/api/sandbox/{sandbox['id']}/stop", params={"force": force})
    fleet.wait(sandbox["id"], "stopped")
    assert [pid for pid in below if read_state(pid) not in ("", "Z", "X")] == []


@pytest.mark.parametrize("isolation", ["bubblewrap", "none"])
def test_an_upgrade_means_the_control_plane(make_fleet: Fleets, isolation: str) -> None:
    # Without --pid, "toolbox reload" found several services once there was a sandbox.
    fleet = make_fleet(f'isolation = "{isolation}"\n')
    sandbox = fleet.create()
    tree = fleet.tree(sandbox["id"])
    assert any(read_report(pid) for pid in tree)
    masters = find_masters()
    assert fleet.service.process.pid in masters
    assert not tree & set(masters)


def test_a_sandbox_that_dies_is_an_error_with_the_reason(fleet: Any) -> None:
    sandbox = fleet.create()
    (service,) = fleet.masters(sandbox["id"])
    fleet.end(service)
    assert fleet.wait(sandbox["id"], "error")["state"] == "error"
    broken = fleet.get(sandbox["id"])
    assert "SIGKILL" in broken["errorReason"]
    assert (broken["recoverable"], broken["desiredState"]) == (True, "started")
    assert fleet.marked(sandbox["id"]) == set()
    fleet.call("POST", f"/api/sandbox/{sandbox['id']}/recover")
    fleet.wait(sandbox["id"], "started")
    assert fleet.run(sandbox, "echo back").strip() == "back"
    assert "errorReason" not in fleet.get(sandbox["id"])


def test_transitions_are_idempotent_and_one_at_a_time(fleet: Any) -> None:
    sandbox = fleet.create()
    path = f"/api/sandbox/{sandbox['id']}"
    assert fleet.call("POST", f"{path}/start")["state"] == "started"
    assert fleet.http.post(f"{path}/recover").json()["state"] == "started"
    states = {fleet.call("POST", f"{path}/stop")["state"] for _ in range(5)}
    assert states <= {"stopping", "stopped"}
    fleet.wait(sandbox["id"], "stopped")
    assert fleet.http.post(f"{path}/pause").status_code == 409


def test_names_are_unique_even_at_once(fleet: Any) -> None:
    answers: list[int] = []

    def create() -> None:
        answers.append(fleet.http.post("/api/sandbox", json={"name": "wanted"}).status_code)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert sorted(answers) == [200] + [409] * 7
    named = [one for one in fleet.call("GET", "/api/sandbox")["items"] if one["name"] == "wanted"]
    assert len(named) == 1
    fleet.delete("wanted")


@pytest.mark.parametrize(
    "name", ["../../etc", "a/b", "..", "", "a\0b", "x" * 10_000, " a", "a\nb", "\u202e"]
)
def test_names_that_no_sandbox_can_have(fleet: Any, name: str) -> None:
    answer = fleet.http.post("/api/sandbox", json={"name": name})
    if name:
        assert answer.status_code == 400, answer.text
    else:
        fleet.delete(answer.json()["id"])


@pytest.mark.parametrize("name", ["'; DROP TABLE rows; --", "$(touch pwned)", "a b", "ä☃", "%s"])
def test_names_go_into_no_text_that_is_run(fleet: Any, name: str) -> None:
    created = fleet.create(name=name, labels={name: name})
    try:
        assert fleet.get(created["id"])["name"] == name
        assert list(fleet.data.rglob("pwned")) == []
        assert [path.name for path in (fleet.data / "sandboxes").iterdir()].count(created["id"])
    finally:
        fleet.delete(created["id"])


def test_limits_key_and_measures(fleet: Any) -> None:
    sandbox = fleet.create(cpu=1, memory=2)
    path = f"/api/sandbox/{sandbox['id']}"
    resized = fleet.call("POST", f"{path}/resize", json={"cpu": 2, "memory": 3})
    assert (resized["cpu"], resized["memory"], resized["state"]) == (2, 3, "started")
    old = fleet.http.get(f"{path}/signing-key").text
    new = fleet.http.post(f"{path}/signing-key/rotate").text
    assert new not in ("", old)
    own = f"/api/sandbox/{sandbox['id']}/signing-key"
    fleet.service.wait_for(lambda: fleet.ask(sandbox, "GET", own).text == new, "the new key")
    assert fleet.http.get("/plugins").status_code == 200
    fleet.delete(sandbox["id"])


def test_no_sandbox_gets_the_port_of_another() -> None:
    with listen(0) as first:
        mine = first.getsockname()[1]
    # Free again, as that of a sandbox that was stopped before the service was started.
    with listen(mine, {mine}) as other:
        assert other.getsockname()[1] != mine
    # And nothing keeps it from its own sandbox.
    with listen(mine) as again:
        assert again.getsockname()[1] == mine
