"""The command ``toolbox sandboxes`` on a fleet of real sandboxes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from toolbox.testing import TOKEN
from toolbox.testing import Service


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A control plane whose sandboxes end with it."""
    data = tmp_path_factory.mktemp("data")
    settings = f'[fleet]\nbackend = "local"\n[fleet.local]\ndata = "{data}"\non_stop = "stop"\n'
    running = Service(tmp_path_factory.mktemp("fleet"), settings=settings)
    yield running
    running.stop()


def run(fleet: Service, *arguments: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if "TOOLBOX" not in name}
    own = {"TOOLBOX_URL": fleet.url, "TOOLBOX_TOKEN": TOKEN, "TOOLBOX_CONFIG": os.devnull}
    return subprocess.run(
        [sys.executable, "-m", "toolbox", "sandboxes", *arguments],
        env={**inherited, **own},
        capture_output=True,
        text=True,
        timeout=200,
    )


def done(fleet: Service, *arguments: str) -> str:
    """Run what must succeed, without a word of error; return what it prints."""
    result = run(fleet, *arguments)
    assert (result.returncode, result.stderr) == (0, ""), result
    return result.stdout


def state(fleet: Service, key: str) -> Any:
    response = fleet.http.get(f"/api/sandbox/{key}")
    return None if response.status_code == 404 else response.json()["state"]


def test_a_sandbox_from_its_creation_to_its_end(fleet: Service) -> None:
    arguments = ("--name", "one", "--label", "team=blue", "--env", "WHO=me=you", "--autostop", "7")
    identity = done(fleet, "create", *arguments, "--cpu", "1").strip()
    made = fleet.http.get("/api/sandbox/one").json()
    assert (made["id"], made["state"], made["autoStopInterval"]) == (identity, "started", 7)
    assert made["env"] == {"WHO": "me=you"} and made["labels"]["team"] == "blue"
    # Of the environment only the names are shown: values may be secret.
    shown = done(fleet, "show", "one")
    assert "WHO" in shown and "me=you" not in shown
    _, row = done(fleet, "list").splitlines()
    assert row.split()[:2] == ["one", "started"] and identity in row and "team=blue" in row
    assert done(fleet, "stop", "one") == "one: stopped\n"
    assert state(fleet, "one") == "stopped"
    # By the beginning of its id, too.
    assert done(fleet, "start", identity[:8]) == "one: started\n"
    assert done(fleet, "delete", "one") == "one: destroyed\n"
    assert state(fleet, identity) is None
    result = run(fleet, "delete", "one")
    assert (result.returncode, result.stderr) == (
        1,
        "toolbox: one: sandbox not found: none has this id or name\n",
    )


def test_a_name_that_is_taken_is_told(fleet: Service) -> None:
    done(fleet, "create", "--name", "taken")
    result = run(fleet, "create", "--name", "taken")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("toolbox: ") and "taken" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    done(fleet, "delete", "taken")


def test_several_are_chosen_by_label_or_all(fleet: Service) -> None:
    for name, team in (("a", "blue"), ("b", "blue"), ("c", "red")):
        done(fleet, "create", "--name", name, "--label", f"team={team}", "--no-wait")
    assert len(json.loads(done(fleet, "--json", "--label", "team=blue"))) == 2
    printed = done(fleet, "delete", "--label", "team=blue")
    assert sorted(printed.splitlines()) == ["a: destroyed", "b: destroyed"]
    assert [state(fleet, name) for name in ("a", "b")] == [None, None]
    assert state(fleet, "c") is not None
    result = run(fleet, "stop", "nobody", "c")
    assert (result.returncode, result.stdout) == (1, "c: stopped\n")
    assert result.stderr == "toolbox: nobody: sandbox not found: none has this id or name\n"
    (deleted,) = json.loads(done(fleet, "delete", "--all", "--json"))
    assert (deleted["name"], deleted["state"]) == ("c", "destroyed")
    assert run(fleet).stderr == "no sandboxes\n"


def test_who_does_not_wait_is_told_the_state_of_now(fleet: Service) -> None:
    identity = done(fleet, "create", "--no-wait").strip()
    result = run(fleet, "start", identity, "--timeout", "0")
    assert result.returncode in (0, 1)  # It may have started meanwhile.
    if result.returncode:
        assert "still " in result.stderr and ", not started" in result.stderr
    assert "destroying" in done(fleet, "delete", identity, "--no-wait")
    fleet.wait_for(lambda: state(fleet, identity) is None, "its end")
