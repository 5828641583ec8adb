"""The ways to the services of pods: one that dies, and host names."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from daytona import Daytona
from daytona import DaytonaConfig

from toolbox.testing import Service

from .clients import size_of_download
from .clients import use_terminal
from .cluster import Cluster
from .fleets import add_template
from .fleets import left

SETTINGS = """
[fleet]
backend = "kubernetes"
[fleet.kubernetes]
kubeconfig = "{cluster.kubeconfig}"
namespace = "{place}"
{more}
"""

Serve = Callable[..., Service]


@pytest.fixture(scope="module")
def place(cluster: Cluster, namespace: str) -> str:
    add_template(cluster, namespace)
    return namespace


@pytest.fixture
def serve(cluster: Cluster, place: str, tmp_path: Path) -> Iterator[Serve]:
    """Start a control plane; its sandboxes are deleted at the end."""
    started: list[Service] = []

    def start(more: str = "", **options: Any) -> Service:
        settings = SETTINGS.format(cluster=cluster, place=place, more=more)
        started.append(Service(tmp_path, settings=settings, **options))
        return started[-1]

    yield start
    for service in started:
        for each in service.http.get("/api/sandbox").json()["items"]:
            service.http.delete(f"/api/sandbox/{each['id']}")
        service.wait_for(lambda: not left(cluster, place), "the end of the sandboxes")
        service.stop()


def execute(service: Service, identity: str, command: str) -> httpx.Response:
    path = f"/toolbox/{identity}/process/execute"
    return service.http.post(path, json={"command": command})


def test_a_pod_that_has_died_is_a_clear_502(cluster: Cluster, place: str, serve: Serve) -> None:
    service = serve()
    made = service.http.post("/api/sandbox", json={"name": "mortal"}).json()
    path = f"/api/sandbox/{made['id']}"
    service.wait_for(lambda: service.http.get(path).json()["state"] == "started", "the start")
    pod = cluster.kubelet.pod(f"sandbox-{made['id']}", place)
    assert pod.container is not None
    # Nobody learns of it, so it counts as started.
    cluster.control_plane.server.send(signal.SIGSTOP)
    try:
        pod.container.stop(0)
        response = execute(service, made["id"], "true")
    finally:
        cluster.control_plane.server.send(signal.SIGCONT)
    assert response.status_code == 502
    message = response.json()["message"]
    assert "the sandbox's service can't be reached" in message
    assert "Connection refused" in message and "(the sandbox is started)" in message
    # Its container is started again, and found.
    service.wait_for(lambda: execute(service, made["id"], "echo up").is_success, "the restart")


def test_sandboxes_are_reached_by_host_names(
    cluster: Cluster, place: str, serve: Serve, tmp_path: Path
) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    # The names of a cluster, as its DNS would have them; in the place of the shell, which ends.
    script = 'mount --bind "$0" /etc/hosts && exec "$@"'
    root = () if os.geteuid() == 0 else ("--map-root-user",)
    wrapper = ("unshare", "--mount", *root, "sh", "-c", script, str(hosts))
    route = 'route = "{sandbox}.{namespace}.svc.example:2280"'
    service = serve(route, wrapper=wrapper)

    def follow() -> str:
        """Write the address of the only sandbox, when it has one."""
        (found,) = cluster.api.list("sandboxes", place)
        addresses = (found.get("status") or {}).get("podIPs") or [""]
        name = found["metadata"]["name"]
        # The file that is mounted, not another one in its place.
        with hosts.open("r+") as file:
            file.write(f"127.0.0.1 localhost\n{addresses[0]} {name}.{place}.svc.example\n")
            file.truncate()
        return str(addresses[0])

    daytona = Daytona(DaytonaConfig(api_key=service.token, api_url=f"{service.url}/api"))
    made = service.http.post("/api/sandbox", json={"name": "named", "env": {"GIVEN": "x"}}).json()
    service.wait_for(follow, "the address")
    path = f"/api/sandbox/{made['id']}"
    service.wait_for(lambda: service.http.get(path).json()["state"] == "started", "the start")
    box = daytona.get("named")
    assert size_of_download(service, box, 64 << 20) == 64 << 20
    use_terminal(box, "x")
    before = follow()
    box.stop()
    service.http.post(f"{path}/start")
    service.wait_for(lambda: follow() not in ("", before), "another pod")
    service.wait_for(lambda: service.http.get(path).json()["state"] == "started", "the start")
    assert execute(service, made["id"], "echo moved").json()["result"] == "moved\n"
