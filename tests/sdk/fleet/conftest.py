"""The SDKs on a service that creates sandboxes on this machine.

``TOOLBOX_TEST_FLEET=kubernetes pytest tests/sdk/fleet`` creates them on the cluster of
``tests/cluster``; docs/fleet.rst tells which tests don't pass there, and why.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daytona import AsyncDaytona
from daytona import Daytona
from daytona import DaytonaConfig
from daytona import Sandbox

from toolbox.testing import DEADLINE
from toolbox.testing import TOKEN
from toolbox.testing import Service

SETTINGS = """
[fleet]
backend = "local"

[fleet.local]
data = "{data}"
# The list has no sandboxes of warm pools: those that a failed test leaves are not seen below.
on_stop = "stop"
"""
SCRIPT = """
import * as sdk from '@daytona/sdk'
const { url, token, input } = JSON.parse(process.env.TOOLBOX_TEST)
const daytona = new sdk.Daytona({ apiKey: token, apiUrl: `${url}/api`, target: 'local' })
const answer = await (async () => { %s })()
process.stdout.write(JSON.stringify(answer ?? null))
"""

JavaScript = Callable[..., Any]

IS_CLUSTER = os.environ.get("TOOLBOX_TEST_FLEET") == "kubernetes"
PODS = {
    "test_async.py::test_pause_resize_and_fork": "a pause, a fork",
    "test_async.py::test_snapshots_and_warm_pools": "a snapshot of files",
    "test_lifecycle.py::test_images_are_not_there": "the words of a refusal: images are pulled",
    "test_lifecycle.py::test_pause": "a pause",
    "test_lifecycle.py::test_fork": "a fork",
    "test_lifecycle.py::test_recover": "an error: the service is started again by itself",
    "test_lifecycle.py::test_resize": "a resize of a started sandbox",
    "test_settings.py::test_pause": "a pause",
    "test_settings.py::test_metrics": "metrics",
    "test_storage.py::test_snapshots": "a snapshot of files",
    "test_storage.py::test_a_snapshot_of_a_running_sandbox": "a snapshot of files",
    "test_storage.py::test_images_are_not_built": "the words of a refusal: images are pulled",
    "test_typescript.py::test_pause_resize_and_fork": "a pause, a fork",
    "test_typescript.py::test_snapshots_and_warm_pools": "a snapshot of files",
}
"""Tests that can't pass on a cluster, and what they ask for that pods don't have."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items if IS_CLUSTER else ():
        if reason := PODS.get(item.nodeid.rpartition("/")[2]):
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """A cluster for all tests, if they are to run on one, or None."""
    if not IS_CLUSTER:
        yield None
        return
    from ...cluster.cluster import running_cluster

    with running_cluster() as started:
        yield started


@pytest.fixture(scope="module")
def fleet(cluster: Any) -> Iterator[Service]:
    """A service that creates sandboxes, for all tests of a module."""
    directory = Path(tempfile.mkdtemp(prefix="toolbox-test-"))
    settings = _on(cluster) if cluster else SETTINGS.format(data=directory / "fleet")
    running = Service(directory, settings=settings)
    try:
        yield running
    finally:
        for sandbox in sandboxes(running):
            running.http.delete(f"/api/sandbox/{sandbox['id']}")
        running.wait_for(lambda: not sandboxes(running), "the end of the sandboxes")
        running.stop()
        shutil.rmtree(directory, ignore_errors=True)


def _on(cluster: Any) -> str:
    from ...cluster.container import HOME
    from ...cluster.fleets import TOKEN as variable
    from ...cluster.fleets import add_template

    namespace = cluster.namespace("sdk")
    add_template(cluster, namespace, env=[variable], kept=HOME)  # With all groups.
    return (
        '[fleet]\nbackend = "kubernetes"\n[fleet.kubernetes]\n'
        f'kubeconfig = "{cluster.kubeconfig}"\nnamespace = "{namespace}"\n'
    )


def sandboxes(fleet: Service) -> list[dict[str, Any]]:
    """Return all sandboxes of a service."""
    found: list[dict[str, Any]] = fleet.http.get("/api/sandbox").json()["items"]
    return found


def config(service: Service) -> DaytonaConfig:
    """Return the configuration with which an SDK finds a service."""
    return DaytonaConfig(api_key=TOKEN, api_url=f"{service.url}/api", target="local")


@pytest.fixture(scope="module")
def daytona(fleet: Service) -> Iterator[Daytona]:
    """A client of the sync SDK."""
    client = Daytona(config(fleet))
    yield client
    # It has no close(): left alone it holds its sockets until the process ends, and it can't be
    # disconnected while it connects.
    client._http_client.close()
    dispatcher = client._event_dispatcher
    assert dispatcher is not None
    if dispatcher._bg_thread is not None:
        dispatcher._bg_thread.join(DEADLINE)
    dispatcher.disconnect()


@pytest.fixture(scope="module")
def sandbox(daytona: Daytona) -> Sandbox:
    """A started sandbox that the tests of a module share: none stops or deletes it."""
    return daytona.create()


@pytest.fixture
async def async_daytona(fleet: Service) -> AsyncIterator[AsyncDaytona]:
    """A client of the async SDK."""
    async with AsyncDaytona(config(fleet)) as client:
        yield client


@pytest.fixture
def javascript(fleet: Service, typescript_sdk: Path) -> JavaScript:
    """Run the TypeScript SDK: ``javascript(body, input=...)``.

    ``body`` is the body of an async function with ``daytona``, ``sdk`` and ``input``; what it
    returns is returned, by way of JSON. It fails if anything is written to standard error, or if
    something keeps the process alive when the function is done.
    """

    def run(body: str, *, input: Any = None) -> Any:
        given = json.dumps({"url": fleet.url, "token": TOKEN, "input": input})
        done = subprocess.run(
            ["node", "--input-type=module", "--eval", SCRIPT % body],
            cwd=typescript_sdk,
            env={**os.environ, "TOOLBOX_TEST": given},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * DEADLINE,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr + fleet.log()[-3000:]
        return json.loads(done.stdout)

    return run
