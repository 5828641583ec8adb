"""Images that a command makes of a Dockerfile: the builder in conf/, and one that waits."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daytona import CreateSandboxFromImageParams
from daytona import CreateSnapshotParams
from daytona import Daytona
from daytona import DaytonaConfig
from daytona import Image
from toolbox_fleet.local.backend import LocalFleet
from toolbox_fleet.local.settings import LocalSettings

from toolbox.linux.procfs import all_processes
from toolbox.settings import SettingsError
from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN

from .conftest import Fleet

Fleets = Callable[..., Any]

BUILDER = Path(__file__).parents[4] / "conf" / "builders" / "bubblewrap.py"


def builder(*command: str) -> str:
    return f'isolation = "bubblewrap"\nbuilder = {json.dumps(command)}\n'


@pytest.fixture(scope="module")
def building(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A control plane with the builder of conf/, whose only base is this machine."""
    places = ("{dockerfile}", "{files}", "{environment}")
    settings = builder(str(BUILDER), "--base", "this-*=", *places)
    fleet = Fleet(tmp_path_factory.mktemp("building"), settings)
    yield fleet
    fleet.stop()


@pytest.fixture
def sdk(building: Fleet) -> Iterator[Daytona]:
    url = f"{building.service.url}/api"
    client = Daytona(DaytonaConfig(api_key=TOKEN, api_url=url, target="local"))
    yield client
    # It has no close(), see tests/sdk/fleet.
    client._http_client.close()
    dispatcher = client._event_dispatcher
    assert dispatcher is not None
    if dispatcher._bg_thread is not None:
        dispatcher._bg_thread.join(DEADLINE)
    dispatcher.disconnect()


def test_a_sandbox_of_an_image(building: Fleet, sdk: Daytona) -> None:
    image = (
        Image.base("this-machine")
        .env({"GREETING": "good day"})
        .run_commands("echo $GREETING > ~/greeting && echo built")
        .workdir("/app")
        .run_commands("pwd > where")
    )
    logs: list[str] = []
    params = CreateSandboxFromImageParams(image=image, env_vars={"OWN": "x"})
    sandbox = sdk.create(params, timeout=DEADLINE, on_snapshot_create_logs=logs.append)
    assert "built" in "".join(logs)
    shown = sandbox.process.exec("cat ~/greeting /app/where; echo $GREETING $OWN").result
    assert shown == "good day\n/app\ngood day x\n"
    # It is not built again.
    again = building.call(
        "POST", "/api/sandbox", json={"buildInfo": {"dockerfileContent": image.dockerfile()}}
    )
    assert (again["state"], again["snapshot"]) == ("creating", sandbox.snapshot)
    for one in (again["id"], sandbox.id):
        building.delete(one)


def test_a_snapshot_of_an_image(building: Fleet, sdk: Daytona) -> None:
    image = Image.base("this-machine").env({"A": "b"}).run_commands("echo one; echo two > ~/file")
    logs: list[str] = []
    made = sdk.snapshot.create(CreateSnapshotParams(name="mine", image=image), on_logs=logs.append)
    assert made.state == "active" and "one" in "".join(logs)
    sandbox = building.create(snapshot="mine")
    assert building.run(sandbox, "cat file; echo $A") == "two\nb\n"
    # A fork has what the image has given to its source.
    fork = building.call("POST", f"/api/sandbox/{sandbox['id']}/fork", json={})
    assert building.run(building.wait(fork["id"], "started"), "cat file; echo $A") == "two\nb\n"
    for one in (fork, sandbox):
        building.delete(one["id"])
    sdk.snapshot.delete(made)
    assert not list((building.data / "builds").glob(made.id))


@pytest.mark.parametrize(
    ("dockerfile", "line"),
    [
        ("FROM this-machine\nRUN echo so far; exit 3\n", "failed with 3"),
        ("FROM debian:12\n", "no base for 'debian:12'"),
        ("FROM this-machine\nCOPY a b\n", "COPY is not supported"),
        # What a sandbox must not see, a build doesn't either.
        ("FROM this-machine\nRUN touch /etc/mine\n", "Read-only file system"),
    ],
)
def test_a_build_that_fails(building: Fleet, dockerfile: str, line: str) -> None:
    body = {"buildInfo": {"dockerfileContent": dockerfile}}
    sandbox = building.call("POST", "/api/sandbox", json=body)
    log = building.http.get(f"/api/sandbox/{sandbox['id']}/build-logs?follow=true").text
    assert line in log
    failed = building.wait(sandbox["id"], "build_failed")
    assert "the build failed" in failed["errorReason"]
    building.delete(sandbox["id"])


def test_files_of_a_build_can_not_be_uploaded(building: Fleet) -> None:
    info = {"dockerfileContent": "FROM this-machine\n", "contextHashes": ["0" * 64]}
    refused = building.http.post("/api/sandbox", json={"buildInfo": info})
    assert refused.status_code == 501 and "object storage" in refused.text
    assert building.http.get("/api/object-storage/push-access").status_code == 501


def test_without_a_builder_the_setting_is_named(fleet: Any) -> None:
    body = {"buildInfo": {"dockerfileContent": "FROM this-machine\n"}}
    for path, wanted in (("/api/sandbox", body), ("/api/snapshots", {**body, "name": "x"})):
        refused = fleet.http.post(path, json=wanted)
        assert refused.status_code == 501 and "[fleet.local] builder" in refused.text


WAITING = """echo begun
until [ -e "$0" ]; do sleep 0.05; done
mkdir -p "$1/home/daytona" && echo made > "$1/home/daytona/x"
"""


def _commands(gate: Path) -> set[int]:
    """The pids of commands that wait for ``gate``."""
    return {one.pid for one in all_processes() if str(gate) in _command_line(one.pid)}


def _command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except (OSError, UnicodeDecodeError):
        return []


def test_a_build_begins_again_after_a_kill(make_fleet: Fleets, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    fleet = make_fleet(builder("sh", "-c", WAITING, str(gate), "{files}", "{dockerfile}"))
    body = {"buildInfo": {"dockerfileContent": "FROM x\n"}}
    sandbox = fleet.call("POST", "/api/sandbox", json=body)
    assert sandbox["state"] == "pending_build"
    fleet.wait(sandbox["id"], "building_snapshot")
    fleet.service.wait_for(lambda: _commands(gate), "the command")
    (command,) = _commands(gate)
    fleet.kill()
    fleet.start()
    fleet.wait(sandbox["id"], "building_snapshot")
    # It would fill a directory that is gone.
    assert command not in _commands(gate)
    gate.touch()
    assert fleet.run(fleet.wait(sandbox["id"], "started"), "cat x") == "made\n"
    assert os.listdir(fleet.data / "staging") == []


def test_nobody_waits_for_an_image_that_is_deleted(make_fleet: Fleets, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    fleet = make_fleet(builder("sh", "-c", WAITING, str(gate), "{files}", "{dockerfile}"))
    body = {"buildInfo": {"dockerfileContent": "FROM x\n"}}
    sandbox = fleet.call("POST", "/api/sandbox", json=body)
    fleet.service.wait_for(lambda: _commands(gate), "the command")
    fleet.call("DELETE", f"/api/snapshots/{sandbox['snapshot']}")
    failed = fleet.wait(sandbox["id"], "build_failed")
    assert "deleted" in failed["errorReason"]
    assert not _commands(gate)
    fleet.delete(sandbox["id"])


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["x"], "needs {dockerfile} and {files}"),
        (["x", "{files}", "{dockerfile}", "{context}"], "{context} is none of"),
        (["x", "{"], "'{'"),
    ],
)
def test_a_command_that_can_not_be_one_is_refused(command: list[str], reason: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(reason)):
        LocalFleet.check(LocalSettings(builder=command))
