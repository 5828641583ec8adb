"""The control plane: how soon a created sandbox works, many at once, and what idle ones cost."""

from __future__ import annotations

import json
import shutil
import sqlite3
import statistics
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench.clients import TOKEN
from bench.frame import Bench
from bench.frame import Row
from bench.frame import Sample
from bench.frame import timed
from bench.memory import own
from bench.servers import Server
from bench.servers import toolbox

HEADERS = {"Authorization": f"Bearer {TOKEN}"}
TOGETHER = 50
STOPPED = 1000
LISTS = 200
POLL = 0.005
"""Seconds between two looks at a state: an SDK waits for an event or for 0.1 s."""


class Fleet:
    """A control plane, as a client uses it."""

    def __init__(self, server: Server) -> None:
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{server.port}/api",
            headers=HEADERS,
            timeout=120,
            limits=httpx.Limits(keepalive_expiry=None),
        )

    def close(self) -> None:
        """Delete what there is and close the connections."""
        for each in self.listed():
            self.delete(each)
        self._http.close()

    def call(self, method: str, path: str, **body: Any) -> Any:
        """Return the JSON of a response."""
        response = self._http.request(method, path, json=body if method == "POST" else None)
        response.raise_for_status()
        return response.json() if response.content else None

    def listed(self) -> list[dict[str, Any]]:
        """Return the first page of sandboxes."""
        found: list[dict[str, Any]] = self.call("GET", "/sandbox?limit=200")["items"]
        return found

    def until(self, sandbox: dict[str, Any], state: str) -> dict[str, Any]:
        """Wait for a state."""
        while sandbox["state"] != state:
            if sandbox["state"] in ("error", "build_failed"):
                raise RuntimeError(sandbox.get("errorReason"))
            time.sleep(POLL)
            sandbox = self.call("GET", f"/sandbox/{sandbox['id']}")
        return sandbox

    def create(self, **wanted: Any) -> dict[str, Any]:
        """Create a sandbox that is started and has run a command."""
        sandbox = self.until(self.call("POST", "/sandbox", **wanted), "started")
        self.execute(sandbox)
        return sandbox

    def execute(self, sandbox: dict[str, Any]) -> None:
        """Run a command in a sandbox."""
        url = f"{sandbox['toolboxProxyUrl']}/{sandbox['id']}/process/execute"
        response = self._http.post(url, json={"command": "true"})
        response.raise_for_status()
        assert response.json()["exitCode"] == 0

    def delete(self, sandbox: dict[str, Any]) -> None:
        """Delete a sandbox and wait until it is gone."""
        self.call("DELETE", f"/sandbox/{sandbox['id']}")
        while self._http.get(f"/sandbox/{sandbox['id']}").status_code != 404:
            time.sleep(POLL)


@contextmanager
def fleet(directory: Path) -> Iterator[Fleet]:
    """A control plane that keeps its sandboxes in ``directory``."""
    settings = f'[fleet]\nbackend = "local"\n[fleet.local]\ndata = "{directory}"\n'
    with toolbox(settings) as server:
        plane = Fleet(server)
        yield plane
        plane.close()


def bench_create(bench: Bench) -> Iterator[Row]:
    """From ``create()`` to the end of the first command, beside the start of one service."""

    def milliseconds(**wanted: Any) -> float:
        made: list[dict[str, Any]] = []
        seconds = timed(lambda: made.append(plane.create(**wanted)))
        plane.delete(made[0])
        return seconds * 1e3

    def warm() -> float:
        while plane.call("GET", "/warm-pools")[0]["currentSize"] < 1:
            time.sleep(POLL)
        return milliseconds(snapshot="daytona-small")

    def started() -> float:
        with toolbox() as server:
            return server.started * 1e3

    with fleet(bench.directory / "fleet") as plane:
        yield Row(
            "create() to the first exec",
            unit="ms",
            ours=milliseconds,
            limit=("toolbox serve", started),
            floor="<= 2x",
            stretch="<= 1.3x",
        )
        pool = plane.call("POST", "/warm-pools", snapshot="daytona-small", pool=1)
        yield Row(
            "create() to the first exec, from a warm pool",
            unit="ms",
            ours=warm,
            limit=("toolbox serve", started),
            floor="<= 150",
            stretch="<= 75",
        )
        plane.call("DELETE", f"/warm-pools/{pool['id']}")


def bench_many(bench: Bench) -> Iterator[Row]:
    """Fifty created at once, all of which answer, and what each takes when it is idle."""
    with fleet(bench.directory / "fleet") as plane:
        yield Row(
            f"{TOGETHER} sandboxes at once, each to its first exec",
            unit="s",
            ours=lambda: together(plane),
            rounds=1,
        )
        yield Row(
            f"memory of an idle one of {TOGETHER} (PSS)",
            unit="MB",
            ours=lambda: memory(plane),
            floor="<= 50",
            stretch="<= 30",
            rounds=1,
        )


def together(plane: Fleet) -> Sample:
    """Seconds until the last one has run a command."""
    times: list[float] = []
    threads = [
        threading.Thread(target=lambda: times.append(timed(plane.create))) for _ in range(TOGETHER)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    if len(times) != TOGETHER:
        raise RuntimeError(f"{TOGETHER - len(times)} of {TOGETHER} did not start")
    return Sample(max(times), {"p50": statistics.median(times)})


def memory(plane: Fleet) -> float:
    """Megabytes of one of those that are there, with all its processes."""
    sandboxes = plane.listed()
    marks = {f"TOOLBOX_FLEET_SANDBOX={each['id']}".encode() for each in sandboxes}
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if marks & set((process / "environ").read_bytes().split(b"\0")):
                total += own(int(process.name))
        except OSError:
            pass  # It has ended, or isn't ours.
    return total / len(sandboxes) / 1e6


def bench_stopped(bench: Bench) -> Iterator[Row]:
    """A page of a list among a thousand stopped sandboxes."""
    directory = bench.directory / "fleet"
    with toolbox(f'[fleet]\nbackend = "local"\n[fleet.local]\ndata = "{directory}"\n') as server:
        plane = Fleet(server)
        sandbox = plane.create()
        plane.call("POST", f"/sandbox/{sandbox['id']}/stop")
        plane.until(plane.call("GET", f"/sandbox/{sandbox['id']}"), "stopped")
    multiply(directory)
    with toolbox(f'[fleet]\nbackend = "local"\n[fleet.local]\ndata = "{directory}"\n') as server:
        plane = Fleet(server)
        yield Row(
            f"list among {STOPPED} stopped, p95",
            unit="ms",
            ours=lambda: lists(plane),
            floor="<= 50",
            stretch="<= 10",
        )
    shutil.rmtree(directory)


def multiply(directory: Path) -> None:
    """Copy the row of the only sandbox until there are ``STOPPED``: starting each takes hours."""
    [database] = directory.rglob("*.db")
    connection = sqlite3.connect(database)
    with connection:
        [(identity, name, body)] = connection.execute(
            "SELECT id, name, body FROM rows WHERE kind = 'sandbox'"
        ).fetchall()
        text = body.decode()
        for number in range(STOPPED - 1):
            other = str(uuid.uuid4())
            copy = text.replace(json.dumps(name), json.dumps(f"stopped-{number}"))
            row = (other, f"stopped-{number}", copy.replace(identity, other).encode())
            connection.execute("INSERT INTO rows VALUES ('sandbox', ?, ?, ?)", row)
    connection.close()


def lists(plane: Fleet) -> Sample:
    """Milliseconds of one page after another."""
    path = "/sandbox?limit=100&states=stopped"
    times = sorted(timed(lambda: plane.call("GET", path)) * 1e3 for _ in range(LISTS))
    return Sample(times[int(LISTS * 0.95)], {"p50": statistics.median(times)})
