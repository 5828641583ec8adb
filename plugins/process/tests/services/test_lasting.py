"""Definitions outlive the service: its end, its death, a full disk; and those of the settings."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from toolbox_process.testing import alive
from toolbox_process.testing import eventually

from toolbox.testing import Service

DEFINITION = {"command": "echo up; exec sleep 1000", "envs": {"A": "ä"}, "ready": {"log": "up"}}

# A service that imports nothing else starts in a fraction of the time.
ALONE = '[plugins]\nenable = ["process"]\n'


@pytest.fixture
def again(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Starts a service, always in the same directory, after the end of the one before."""
    running: list[Service] = []

    def start(*arguments: str, settings: str = "", **options: Any) -> Service:
        for before in running:
            if before.process.poll() is None:
                before.stop()
        settings = f"{ALONE}{settings}"
        running.append(Service(tmp_path / "service", *arguments, settings=settings, **options))
        return running[-1]

    yield start
    for service in running:
        service.stop()


def stored(service: Service) -> list[Path]:
    return sorted(service.directory.glob("state/**/*.json"))


def test_they_come_back(again: Any, services_of: Any) -> None:
    """After SIGKILL: nothing is left to the moment of the end."""
    services = services_of(again())
    services.put("web", **DEFINITION)
    services.put("idle", command="exec sleep 1000")
    services.put("gone", command="exec sleep 1000")
    before = services.wait("web")
    services.act("idle", "stop")
    services.delete("gone")
    files = stored(services.service)
    # Variables may be secrets; and no name of a client is part of a path.
    assert [path.stat().st_mode & 0o077 for path in (*files, files[0].parent)] == [0, 0, 0]
    assert not [path for path in files if "web" in path.name or "idle" in path.name]
    services.service.stop(signal.SIGKILL)
    assert not alive(before["pid"])
    services = services_of(again())
    after = services.wait("web")
    assert after["state"] == "ready" and after["definition"] == before["definition"]
    assert services.request("PUT", "web", json=DEFINITION).status_code == 200
    assert services.info("web")["pid"] == after["pid"]
    # What was stopped stays so, and can be started.
    assert services.info("idle")["state"] == "stopped"
    assert services.act("idle", "start")["state"] == "starting"
    assert services.request("GET", "gone").status_code == 404
    # A directory that is deleted is made again.
    shutil.rmtree(services.service.directory / "state")
    services.put("two", command="exec sleep 1000")
    services.delete("web")
    assert len(stored(services.service)) == 1


def test_they_come_back_after_the_death_of_the_worker(again: Any, services_of: Any) -> None:
    services = services_of(again())
    services.put("web", **DEFINITION)
    before = services.wait("web")
    (worker,) = services.service.workers()
    os.kill(worker, signal.SIGKILL)
    services.service.wait_for(lambda: services.service.workers() not in ([], [worker]), "another")
    assert services.wait("web")["pid"] != before["pid"]
    assert not alive(before["pid"])


def test_files_that_are_none_are_reported_and_left(again: Any, services_of: Any) -> None:
    services = services_of(again())
    services.put("web", **DEFINITION)
    (file,) = stored(services.service)
    services.service.stop()
    content = file.read_text()
    bad = {
        "empty": "",
        "cut": content[:-5],
        "binary": "\0" * 100,
        "name": content.replace('"web"', '"../web"'),
        "command": content.replace('"command"', '"comand"'),
    }
    for name, text in bad.items():
        (file.parent / f"{name}.json").write_text(text)
    services = services_of(again())
    assert services.wait("web")["state"] == "ready"
    assert len(services.http.get("/x/services").json()["services"]) == 1
    log = services.service.log()
    assert all(f"{name}.json" in log for name in bad)
    assert len(stored(services.service)) == 6


def test_a_second_service_in_the_directory_starts_nothing_twice(
    again: Any, services_of: Any, tmp_path: Path
) -> None:
    first = services_of(again())
    first.put("web", **DEFINITION)
    state = {"XDG_STATE_HOME": str(first.service.directory / "state")}
    other = tmp_path / "other"
    settings = f'{ALONE}[server]\nwork_dir = "{first.service.work_dir}"\n'
    # The environment of the test's own wins over what the helper sets.
    second = Service(
        other, settings=settings, wrapper=("env", *(f"{k}={v}" for k, v in state.items()))
    )
    try:
        assert second.http.get("/x/services").json()["services"] == []
        assert "another service uses" in second.log()
        services_of(second).put("mine", command="exec sleep 1000")
        assert services_of(second).wait("mine")["state"] == "ready"
    finally:
        second.stop()
    assert len(stored(first.service)) == 1


@pytest.fixture
def small() -> Iterator[Path]:
    """A file system of a megabyte."""
    where = Path(tempfile.mkdtemp(prefix="toolbox-test-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(where)], check=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", "--lazy", str(where)], check=True)
        where.rmdir()


def test_a_full_disk(again: Any, services_of: Any, small: Path) -> None:
    """What can't be stored isn't done, and the old definition goes on."""
    settings = f'[process.local]\nstate_dir = "{small}"\n'
    services = services_of(again(settings=settings))
    services.put("web", **DEFINITION)
    before = services.wait("web")
    with suppress(OSError), (small / "filler").open("ab", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass
    for name in ("web", "new"):
        answer = services.request("PUT", name, json={"command": "exec sleep 1001"})
        assert answer.status_code == 507, answer.text
        assert answer.json()["code"] == "INSUFFICIENT_STORAGE"
    after = services.info("web")
    assert (after["pid"], after["definition"]) == (before["pid"], before["definition"])
    assert services.request("GET", "new").status_code == 404
    # A stop is done nevertheless, and told not to last.
    assert services.request("POST", "web", "stop").status_code == 507
    assert services.info("web")["state"] == "stopped"
    assert not alive(before["pid"])
    (small / "filler").unlink()
    services = services_of(again(settings=settings))
    assert services.wait("web")["definition"] == before["definition"]


DECLARED = """
[process.services.web]
argv = ["sh", "-c", "echo $KIND; exec sleep 1000"]
envs = {KIND = "declared"}
ready = {log = "^declared$"}

[process.services.job]
command = "exit 0"
restart = "never"
"""


def test_the_settings_declare_some(again: Any, services_of: Any) -> None:
    services = services_of(again())
    services.put("web", command="exec sleep 1000")
    services.put("mine", command="exec sleep 1000")
    # The declaration comes before the definition.
    services = services_of(again(settings=DECLARED))
    shown = services.wait("web")
    assert shown["state"] == "ready" and shown["declared"]
    assert services.wait("job")["exitCode"] == 0
    # The same is accepted; nothing else is, nor a deletion.
    same = {
        "argv": ["sh", "-c", "echo $KIND; exec sleep 1000"],
        "envs": {"KIND": "declared"},
        "ready": {"log": "^declared$"},
    }
    assert services.put("web", **same)["pid"] == shown["pid"]
    for answer in (
        services.request("PUT", "web", json={"command": "true"}),
        services.request("DELETE", "web"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")
        assert "declared in the settings" in answer.json()["message"]
    assert services.act("web", "stop")["state"] == "stopped"
    services = services_of(again(settings=DECLARED))
    assert services.info("web")["state"] == "stopped"
    services.act("web", "start")
    # Once it isn't declared any more, it is no more; the others stay.
    services = services_of(again())
    names = [each["name"] for each in services.http.get("/x/services").json()["services"]]
    assert names == ["mine"]


INVALID = """
[process.services.a]
comand = "x"
[process.services.b]
argv = "x"
[process.services.c]
[process.services.d]
command = "x"
ready = {http = "http://example.com"}
[process.services.e]
command = "x"
restart = "now"
[process.services.f]
command = "x"
ready = {log = "("}
"""


def _problems(file: Path, text: str) -> str:
    file.write_text(text)
    command = [sys.executable, "-m", "toolbox", "config", "--check", str(file)]
    environ = {**os.environ, "TOOLBOX_TOKEN": "secret-token-123456"}
    run = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    return run.stderr


def test_declarations_that_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "toolbox.toml"
    found = _problems(file, INVALID)
    for problem in (
        "unknown option process.services.a.comand; did you mean 'command'?",
        "process.services.b.argv: Expected `array | null`, got `str`; write a list",
        "process.services.c: give either command or argv",
        "process.services.d.ready: http: only http://localhost",
        "process.services.e.restart: Invalid enum value 'now'; allowed: 'never', 'on-failure'",
        "process.services.f.ready: log: invalid regular expression",
    ):
        assert problem in found, found
    found = _problems(file, '[process.services."a b"]\ncommand = "x"')
    assert "process.services: Expected `str` matching regex" in found


def test_the_program_after_the_dashes_is_one(again: Any, services_of: Any) -> None:
    script = "echo up; trap 'exit 7' USR1; while :; do sleep 0.05; done"
    # The environment declares another one.
    variables = {"TOOLBOX__PROCESS__SERVICES__WEB": '{command = "exec sleep 1000"}'}
    services = services_of(again("--", "sh", "-c", script, env=variables))
    assert services.wait("web")["declared"]
    shown = services.info("entrypoint")
    assert shown["declared"] and shown["definition"]["restart"] == "never"
    path = "/process/session/entrypoint"
    eventually(lambda: services.log("entrypoint") == "up\n", "its output")
    assert services.http.get(f"{path}/logs").text.endswith("up\n")
    # It is an image's purpose, so it keeps the sandbox busy, as it did before it was a service.
    assert services.http.get("/x/activity").json()["runningJobs"] == 1
    signaled = {"signal": "USR1", "tree": True}
    services.http.post(f"/x/jobs/{shown['jobId']}/signal", json=signaled).raise_for_status()
    ended = services.wait("entrypoint", "stopped")
    assert (ended["state"], ended["exitCode"]) == ("failed", 7)
    commands = services.http.get(path).json()["commands"]
    assert [(each["id"], each["exitCode"]) for each in commands] == [("entrypoint_command", 7)]
    answer = services.request("DELETE", "entrypoint")
    assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")
    services.act("entrypoint", "start")
    assert "exitCode" not in services.http.get(path).json()["commands"][0]


def test_the_program_after_the_dashes_may_be_missing(again: Any, services_of: Any) -> None:
    services = services_of(again("--", "none-such", "a b"))
    ended = services.wait("entrypoint")
    assert (ended["state"], ended["exitCode"]) == ("failed", 127)
    assert "none-such" in services.log("entrypoint")
    assert (
        json.loads(services.http.get("/process/session/entrypoint").text)["commands"][0]["exitCode"]
        == 127
    )
