"""Warm pools, archives and volumes of real sandboxes, and a copy that is cut off."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from toolbox_fleet.local.backend import LocalFleet
from toolbox_fleet.local.settings import LocalSettings
from toolbox_fleet.settings import FleetSettings

from toolbox.errors import InsufficientStorage
from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN

from .conftest import Fleet

Fleets = Callable[..., Any]

POOL = "/api/warm-pools"


def waiting(fleet: Any) -> set[str]:
    """The ids of the sandboxes that wait in pools, started."""
    params = {"includeWarm": "true", "states": "started", "limit": 200}
    items = fleet.call("GET", "/api/sandbox", params=params)["items"]
    return {one["id"] for one in items if one.get("warmPoolId")}


def filled(fleet: Any, count: int) -> None:
    """Wait until ``count`` sandboxes wait in pools."""
    fleet.service.wait_for(lambda: len(waiting(fleet)) == count, f"a pool of {count}")


def test_each_sandbox_of_a_pool_is_taken_once(fleet: Any) -> None:
    pool = fleet.call("POST", POOL, json={"snapshot": "daytona-small", "pool": 5})
    filled(fleet, 5)
    warm = waiting(fleet)
    together = threading.Barrier(20)

    def create(number: int) -> dict[str, Any]:
        url, headers = fleet.service.url, {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=url, headers=headers, timeout=DEADLINE) as http:
            together.wait(DEADLINE)
            body = {"name": f"taken-{number}", "snapshot": "daytona-small", "env": {"N": "1"}}
            made: dict[str, Any] = http.post("/api/sandbox", json=body).raise_for_status().json()
            return made

    with ThreadPoolExecutor(20) as threads:
        made = list(threads.map(create, range(20)))
    # Not filled again before those are gone: a deletion ends also what has not started.
    fleet.call("DELETE", f"{POOL}/{pool['id']}")
    taken = {one["id"]: one["name"] for one in made}
    assert len(taken) == len(set(taken.values())) == 20
    assert warm <= set(taken)
    started = {one["id"] for one in made if one["state"] == "started"}
    assert warm <= started
    for identity in taken:
        fleet.call("DELETE", f"/api/sandbox/{identity}")
    fleet.service.wait_for(lambda: not list((fleet.data / "sandboxes").iterdir()), "the end of all")


def test_a_pool_survives_a_restart(make_fleet: Fleets) -> None:
    fleet = make_fleet()
    fleet.call("POST", POOL, json={"snapshot": "daytona-small", "pool": 1})
    filled(fleet, 1)
    (before,) = waiting(fleet)
    processes = fleet.masters(before)
    fleet.kill()
    fleet.start()
    filled(fleet, 1)
    # The one that waited has gone on, and nothing was made in its place.
    assert waiting(fleet) == {before}
    assert fleet.masters(before) == processes
    made = fleet.call("POST", "/api/sandbox", json={"snapshot": "daytona-small", "env": {"X": "y"}})
    assert (made["id"], made["state"]) == (before, "started")
    assert fleet.run(fleet.get(before), "echo $X").strip() == "y"


def test_what_can_be_created_from_can_be_found(fleet: Any) -> None:
    found = _snapshot(fleet, "daytona-small")
    assert (found["name"], found["state"]) == ("daytona-small", "active")
    assert _snapshot(fleet, found["id"]) == found
    assert found in fleet.call("GET", "/api/snapshots")["items"]
    sandbox = fleet.call("POST", "/api/sandbox", json={"snapshot": found["id"]})
    assert sandbox["snapshot"] == "daytona-small"
    taken = fleet.http.post(f"/api/sandbox/{sandbox['id']}/snapshot", json={"name": found["name"]})
    assert taken.status_code == 409
    fleet.delete(sandbox["id"])
    assert fleet.http.delete("/api/snapshots/daytona-small").status_code == 403


def test_a_sandbox_is_linked_to_one_that_is_there(fleet: Any) -> None:
    wanted = {"linkedSandbox": "nobody"}
    assert fleet.http.post("/api/sandbox", json=wanted).status_code == 404
    first = fleet.call("POST", "/api/sandbox", json={"name": "first"})
    second = fleet.call("POST", "/api/sandbox", json={"linkedSandbox": "first"})
    assert second["linkedSandboxId"] == first["id"]
    third = fleet.http.post("/api/sandbox", json={"linkedSandbox": second["id"]})
    assert third.status_code == 400
    for one in (first, second):
        fleet.delete(one["id"])


def test_an_archive_is_unpacked_by_the_start(fleet: Any) -> None:
    sandbox = fleet.create()
    path = f"/api/sandbox/{sandbox['id']}"
    fleet.run(sandbox, "echo text > file && chmod 640 file && ln file other && ln -s /none link")
    fleet.call("POST", f"{path}/stop")
    fleet.wait(sandbox["id"], "stopped")
    fleet.call("POST", f"{path}/archive")
    fleet.wait(sandbox["id"], "archived")
    assert not (fleet.data / "sandboxes" / sandbox["id"] / "home").exists()
    assert len(os.listdir(fleet.data / "archives")) == 1
    fleet.call("POST", f"{path}/start")
    sandbox = fleet.wait(sandbox["id"], "started")
    shown = fleet.run(sandbox, "cat other; stat -c %a:%h file; readlink link")
    assert shown.split() == ["text", "640:2", "/none"]
    assert os.listdir(fleet.data / "archives") == []
    fleet.delete(sandbox["id"])


def test_a_link_in_a_volume_leads_to_nothing_outside(fleet: Any) -> None:
    volume = fleet.call("POST", "/api/volumes", json={"name": "data"})
    mount = {"volumeId": volume["id"], "mountPath": "/some/where"}
    sandbox = fleet.create(volumes=[mount])
    fleet.run(sandbox, "ln -s /etc /some/where/link")
    wanted = {"volumes": [{**mount, "subpath": "link/ssl"}]}
    bad = fleet.call("POST", "/api/sandbox", json=wanted)
    assert "not a directory of the volume" in fleet.wait(bad["id"], "error")["errorReason"]
    fleet.delete(bad["id"])
    fleet.delete(sandbox["id"])
    fleet.call("DELETE", f"/api/volumes/{volume['id']}")


def test_a_killed_control_plane_leaves_no_half_copies(make_fleet: Fleets) -> None:
    fleet = make_fleet()
    sandbox = fleet.create()
    path = f"/api/sandbox/{sandbox['id']}"
    count = 0
    while True:
        more = count + 50
        fleet.run(sandbox, _files(count, more))
        count = more
        fleet.call("POST", f"{path}/snapshot", json={"name": "half"})
        if _stopped_in_copy(fleet):
            break
        # It was too quick for us.
        assert count < 1000
        fleet.wait(sandbox["id"], "started")
        fleet.call("DELETE", f"/api/snapshots/{_snapshot(fleet, 'half')['id']}")
    fleet.kill()
    fleet.start()
    half = _snapshot(fleet, "half")
    assert half["state"] == "error" and "ended while" in half["errorReason"]
    assert os.listdir(fleet.data / "staging") == []
    # It was suspended for the copy, and goes on.
    sandbox = fleet.wait(sandbox["id"], "started")
    assert fleet.run(sandbox, "ls | wc -l").strip() == str(count)
    fleet.call("DELETE", f"/api/snapshots/{half['id']}")
    fleet.call("POST", f"{path}/snapshot", json={"name": "half"})
    fleet.wait(sandbox["id"], "started")
    assert _snapshot(fleet, "half")["state"] == "active"


def _files(first: int, end: int) -> str:
    directories = " ".join(map(str, range(first, end)))
    return f"for i in {directories}; do mkdir $i; for j in $(seq 60); do : > $i/$j; done; done"


def _snapshot(fleet: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = fleet.call("GET", f"/api/snapshots/{name}")
    return found


def _entries(directory: Path) -> list[str]:
    return os.listdir(directory) if directory.is_dir() else []


def _stopped_in_copy(fleet: Any) -> bool:
    """Suspend the control plane in the middle of a copy; False if that has ended before."""
    staging = fleet.data / "staging"
    (worker,) = fleet.service.workers()
    fleet.service.wait_for(
        lambda: _entries(staging) or _snapshot(fleet, "half")["state"] == "active", "a copy"
    )
    os.kill(worker, signal.SIGSTOP)
    if _entries(staging):
        return True
    os.kill(worker, signal.SIGCONT)
    return False


def _stopped_source(fleet: Any) -> str:
    """A stopped sandbox with a file; copies of it wait for another one, which is ``before``."""
    source = fleet.create()
    fleet.run(source, "echo text > file")
    fleet.call("POST", f"/api/sandbox/{source['id']}/stop")
    fleet.wait(source["id"], "stopped")
    fleet.call("POST", "/api/sandbox", json={"name": "before"})
    return str(source["id"])


def _fork(fleet: Any, source: str) -> str:
    return str(fleet.call("POST", f"/api/sandbox/{source}/fork", json={})["id"])


def _has_files(fleet: Any, sandbox: str) -> bool:
    return bool(fleet.run(fleet.wait(sandbox, "started"), "cat file") == "text\n")


def test_a_start_waits_for_the_copies_that_were_accepted(one_at_a_time: Any) -> None:
    fleet = one_at_a_time
    source = _stopped_source(fleet)
    forks = [_fork(fleet, source) for _ in range(2)]
    fleet.call("POST", f"/api/sandbox/{source}/start")
    fleet.delete("before")
    assert [_has_files(fleet, one) for one in (*forks, source)] == [True] * 3


def test_a_deletion_waits_for_the_copies_that_were_accepted(one_at_a_time: Any) -> None:
    fleet = one_at_a_time
    source = _stopped_source(fleet)
    fork = _fork(fleet, source)
    fleet.call("POST", f"/api/sandbox/{source}/snapshot", json={"name": "late"})
    fleet.call("DELETE", f"/api/sandbox/{source}")
    fleet.delete("before")
    assert _has_files(fleet, fork)
    fleet.wait_gone(source)
    # It had not begun, and nobody waits for it for ever.
    assert _snapshot(fleet, "late")["state"] == "error"


def test_forks_go_on_after_a_restart(make_fleet: Fleets) -> None:
    fleet = make_fleet("starting = 1\n")
    source = _stopped_source(fleet)
    fork = _fork(fleet, source)
    fleet.call("POST", f"/api/sandbox/{source}/start")
    fleet.kill()
    fleet.start()
    fleet.call("DELETE", "/api/sandbox/before")
    assert [_has_files(fleet, one) for one in (fork, source)] == [True] * 2


def test_without_space_for_records_nothing_is_changed(
    make_backend: Callable[..., Any], tmp_path: Path
) -> None:
    settings = LocalSettings(data=str(tmp_path / "data"), isolation="none")
    backend = make_backend(LocalFleet, settings, FleetSettings())
    volume = backend.create_volume("first")
    with backend._store.transaction() as connection:
        connection.execute("PRAGMA max_page_count = 1")
    made = 1
    with pytest.raises(InsufficientStorage, match="no space is left"):
        while made < 1000:
            backend.create_volume(f"v{made}-{'x' * 200}")
            made += 1
    assert len(list(backend.volumes())) == made
    # Room for the next one is what a deletion gives.
    backend.delete_volume(volume.id)
    assert len(list(backend.volumes())) == made - 1


@pytest.fixture(scope="module")
def one_at_a_time(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A control plane in which one start waits for another."""
    fleet = Fleet(tmp_path_factory.mktemp("fleet"), "starting = 1\n")
    yield fleet
    fleet.stop()
