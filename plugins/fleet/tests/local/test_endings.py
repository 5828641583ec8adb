"""Sandboxes end with what has started them, where they should."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toolbox.testing import ending

MakeFleet = Callable[..., Any]

RUNNER = """
import pathlib, sys, threading
from toolbox.testing import Service

for isolation in ("bubblewrap", "none"):
    settings = f'[fleet]\\nbackend = "local"\\n[fleet.local]\\nisolation = "{isolation}"\\n'
    service = Service(pathlib.Path(sys.argv[1], isolation), settings=settings)
    made = service.http.post("/api/sandbox", json={}).raise_for_status().json()
    started = lambda: service.http.get(f"/api/sandbox/{made['id']}").json()["state"] == "started"
    service.wait_for(started, "its start")
    print(made["id"], flush=True)
threading.Event().wait()
"""


def test_a_service_that_stops_all_stops_those_on_their_way(make_fleet: MakeFleet) -> None:
    fleet = make_fleet("starting = 2\n")
    stopped = fleet.create()
    fleet.call("POST", f"/api/sandbox/{stopped['id']}/stop")
    fleet.wait(stopped["id"], "stopped")
    ids = [fleet.call("POST", "/api/sandbox", json={})["id"] for _ in range(4)]
    fleet.call("POST", f"/api/sandbox/{stopped['id']}/start")
    # Some start, others wait for their turn.
    fleet.service.wait_for(lambda: any(map(fleet.marked, ids)), "the first of them")
    fleet.service.stop()
    assert {one: fleet.marked(one) for one in (*ids, stopped["id"]) if fleet.marked(one)} == {}
    fleet.start()
    # Creations were accepted, so they are completed; the others stay as they are.
    for one in ids:
        fleet.wait(one, "started", "stopped")
    assert fleet.wait(stopped["id"], "stopped", "started")


def test_a_test_runner_that_is_killed_leaves_none(fleet: Any, tmp_path: Path) -> None:
    command = [sys.executable, "-c", RUNNER, str(tmp_path)]
    with ending(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as runner:
        assert runner.stdout is not None
        ids = [runner.stdout.readline().strip() for _ in range(2)]
        assert all(fleet.marked(one) for one in ids)
        runner.kill()
        fleet.service.wait_for(lambda: not any(map(fleet.marked, ids)), "the end of all sandboxes")
