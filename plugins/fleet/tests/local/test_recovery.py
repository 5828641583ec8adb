"""The control plane ends or is killed at any moment; its sandboxes are found again."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from toolbox.linux.procfs import read_state
from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN
from toolbox.testing import Service

Fleets = Callable[..., Any]


@pytest.mark.parametrize("isolation", ["bubblewrap", "none"])
def test_sandboxes_go_on_without_the_control_plane(make_fleet: Fleets, isolation: str) -> None:
    fleet = make_fleet(f'isolation = "{isolation}"\n')
    sandbox, paused = fleet.create(name="one"), fleet.create(name="two")
    fleet.call("POST", "/api/sandbox/two/pause")
    fleet.wait("two", "paused")
    fleet.run(sandbox, "nohup sleep 1000 >/dev/null 2>&1 & echo $! > pid")
    before = {one["id"]: fleet.masters(one["id"]) for one in (sandbox, paused)}
    fleet.kill()
    # By its own URL it responds meanwhile.
    assert fleet.run(sandbox, "kill -0 $(cat pid) && echo alive").strip() == "alive"
    fleet.start()
    assert {one: fleet.masters(one) for one in before} == before
    assert fleet.get("one")["toolboxProxyUrl"] == sandbox["toolboxProxyUrl"]
    assert fleet.get("two")["state"] == "paused"
    fleet.call("POST", "/api/sandbox/two/start")
    assert fleet.run(fleet.wait("two", "started"), "echo on").strip() == "on"
    # Its end is noticed, though it is no child of the new control plane.
    (service,) = before[sandbox["id"]]
    os.kill(service, 9)
    assert "ended" in fleet.wait("one", "error")["errorReason"]


def test_a_worker_that_dies_leaves_the_sandboxes(make_fleet: Fleets) -> None:
    fleet = make_fleet()
    sandbox = fleet.create()
    (worker,) = fleet.service.workers()
    os.kill(worker, 9)
    fleet.service.wait_for(lambda: fleet.service.workers() not in ([], [worker]), "a worker")
    fleet.service.wait_for(lambda: _is_ready(fleet.service), "the new worker")
    assert fleet.get(sandbox["id"])["state"] == "started"
    assert fleet.run(sandbox, "echo on").strip() == "on"


def _is_ready(service: Service) -> bool:
    try:
        return service.http.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_what_ended_meanwhile_is_an_error(make_fleet: Fleets) -> None:
    fleet = make_fleet()
    sandbox = fleet.create()
    fleet.kill()
    for pid in fleet.marked(sandbox["id"]):
        # The first of a namespace takes the others with it.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)
    fleet.start()
    broken = fleet.get(sandbox["id"])
    assert broken["state"] == "error" and broken["errorReason"]
    fleet.call("POST", f"/api/sandbox/{sandbox['id']}/recover", params={"skipStart": "true"})
    fleet.wait(sandbox["id"], "stopped")


# SIGKILL in the middle of 20 creates and deletes, at moments some way apart.
@pytest.mark.parametrize("responses", [1, 12, 25])
def test_a_kill_in_the_middle_loses_and_leaves_nothing(make_fleet: Fleets, responses: int) -> None:
    fleet = make_fleet('max_sandboxes = 200\nisolation = "auto"\n')
    told: dict[str, str] = {}
    deleted: set[str] = set()
    enough = threading.Semaphore(0)

    def work(number: int) -> None:
        url, headers = fleet.service.url, {"Authorization": f"Bearer {TOKEN}"}
        try:
            with httpx.Client(base_url=url, headers=headers, timeout=DEADLINE) as http:
                made = http.post("/api/sandbox", json={"name": f"n{number}"}).json()
                told[made["id"]] = made["name"]
                enough.release()
                if number % 2:
                    deleted.add(made["id"])
                    http.delete(f"/api/sandbox/{made['id']}")
                    enough.release()
        except httpx.TransportError:
            pass  # The control plane is gone.

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for _ in range(responses):
        assert enough.acquire(timeout=DEADLINE)
    fleet.kill()
    for thread in threads:
        thread.join(DEADLINE)
    fleet.start()
    for one in fleet.call("GET", "/api/sandbox", params={"limit": 200})["items"]:
        # Each has its time: creations begin again, all of them at once.
        if one["state"] == "destroying":
            fleet.wait_gone(one["id"])
        else:
            fleet.wait(one["id"], "started")
    _check(fleet, told, deleted)


def _check(fleet: Any, told: dict[str, str], deleted: set[str]) -> None:
    items = fleet.call("GET", "/api/sandbox", params={"limit": 200})["items"]
    assert {one["state"] for one in items} <= {"started"}
    names = [one["name"] for one in items]
    assert len(names) == len(set(names))
    ids = {one["id"] for one in items}
    assert set(told) - deleted <= ids
    assert {path.name for path in (fleet.data / "sandboxes").iterdir()} == ids
    # Whatever bears a mark of ours and isn't in the list.
    assert _marks(fleet) <= ids
    for one in items[:3]:
        assert fleet.run(one, "echo on").strip() == "on"


def _marks(fleet: Any) -> set[str]:
    """The ids of sandboxes that have processes of this fleet."""
    found = set()
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit() and read_state(int(directory.name)) not in ("", "Z"):
            try:
                environ = (directory / "environ").read_bytes().decode("utf-8", "replace")
                started = (directory / "cmdline").read_bytes().decode("utf-8", "replace")
            except OSError:
                continue
            variables = dict(one.partition("=")[::2] for one in environ.split("\0"))
            # The paths of its files are in the command of bwrap, or in that of the service.
            if str(fleet.data) in started and "TOOLBOX_FLEET_SANDBOX" in variables:
                found.add(variables["TOOLBOX_FLEET_SANDBOX"])
    return found


def test_two_control_planes_don_t_share_records(make_fleet: Fleets, tmp_path: Path) -> None:
    fleet = make_fleet()
    sandbox = fleet.create()
    settings = f'[fleet]\nbackend = "local"\n[fleet.local]\ndata = "{fleet.data}"\n'
    other = Service(tmp_path / "other", settings=settings)
    try:
        refused = other.http.get("/api/sandbox")
        assert refused.status_code == 403 and "another service" in refused.text
        assert other.http.post("/process/execute", json={"command": "true"}).status_code == 200
    finally:
        other.stop()
    assert fleet.run(sandbox, "echo on").strip() == "on"
