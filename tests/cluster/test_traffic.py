"""The ways to the services of pods: one that dies, host names, and the sandbox-router."""

from __future__ import annotations

import errno
import os
import signal
import socket
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import websocket
from daytona import Daytona
from daytona import DaytonaConfig

from toolbox.testing import DEADLINE
from toolbox.testing import Service

from .api import wait_for
from .clients import size_of_download
from .clients import use_terminal
from .cluster import Cluster
from .container import PORT
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


def create(service: Service, name: str) -> str:
    """Create a sandbox, wait until it is started, and return its id. Its ``GIVEN`` is its name."""
    body = {"name": name, "env": {"GIVEN": name}}
    identity: str = service.http.post("/api/sandbox", json=body).json()["id"]
    wait_until_started(service, identity)
    return identity


def wait_until_started(service: Service, identity: str) -> None:
    path = f"/api/sandbox/{identity}"
    service.wait_for(lambda: service.http.get(path).json()["state"] == "started", "the start")


def sdk(service: Service) -> Daytona:
    return Daytona(DaytonaConfig(api_key=service.token, api_url=f"{service.url}/api"))


@contextmanager
def unnoticed(cluster: Cluster, place: str, identity: str) -> Iterator[None]:
    """End the service of a sandbox; nobody learns of it within the block, so it is started."""
    pod = cluster.kubelet.pod(f"sandbox-{identity}", place)
    assert pod.container is not None
    cluster.control_plane.server.send(signal.SIGSTOP)
    try:
        pod.container.stop(0)
        # Its processes are dead, but may not be taken down yet, with the sockets they listened on.
        wait_for(lambda: _refuses(pod.address), "the end of the service", pod.log)
        yield
    finally:
        cluster.control_plane.server.send(signal.SIGCONT)


def _refuses(address: str) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex((address, PORT)) == errno.ECONNREFUSED


def test_a_pod_that_has_died_or_is_evicted_is_a_clear_502(
    cluster: Cluster, place: str, serve: Serve
) -> None:
    service = serve()
    identity = create(service, "mortal")
    with unnoticed(cluster, place, identity):
        response = execute(service, identity, "true")
    assert response.status_code == 502
    message = response.json()["message"]
    assert "the sandbox's service can't be reached" in message
    assert "Connection refused" in message and "(the sandbox is started)" in message
    # Its container is started again, and found.
    service.wait_for(lambda: execute(service, identity, "echo up").is_success, "the restart")

    activity = f"/toolbox/{identity}/x/activity"
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(execute, service, identity, "sleep 600")
        service.wait_for(lambda: service.http.get(activity).json().get("busy"), "the command")
        cluster.api.delete("pods", f"sandbox-{identity}", place, gracePeriodSeconds=0)
        response = running.result(DEADLINE)
    assert response.status_code == 502
    assert "the sandbox's service closed the connection" in response.json()["message"]
    service.wait_for(lambda: execute(service, identity, "echo up").is_success, "another pod")


@pytest.fixture
def router(cluster: Cluster) -> Iterator[str]:
    """Start the sandbox-router of agent-sandbox; return the settings that lead through it."""
    plane = cluster.control_plane
    plane.start_router()
    yield f'route = "router"\nrouter = "{plane.router_address}"'
    plane.router.stop()


def test_sandboxes_are_reached_by_the_router(
    cluster: Cluster, place: str, router: str, serve: Serve
) -> None:
    service = serve(router)
    identity = create(service, "routed")
    box = sdk(service).get("routed")
    assert size_of_download(service, box, 64 << 20) == 64 << 20
    use_terminal(box, "routed")
    # A client can't lead the router, which gets our token for the sandbox, elsewhere.
    path = f"/toolbox/{identity}/process/execute"
    headers = {"X-Sandbox-ID": "x", "X-Sandbox-Pod-IP": "127.0.0.1", "X-Sandbox-Port": "1"}
    led = service.http.post(path, json={"command": "echo $GIVEN"}, headers=headers)
    assert led.json()["result"] == "routed\n"
    # What the sandbox itself responds is passed on, with this status, too.
    proxied = service.http.get(f"/toolbox/{identity}/proxy/9/")
    assert proxied.status_code == 502 and "port 9" in proxied.json()["message"]

    with unnoticed(cluster, place, identity):
        response = execute(service, identity, "true")
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            service.websocket(f"/toolbox/{identity}/process/pty/none/connect")
    assert response.status_code == refused.value.status_code == 502
    message = response.json()["message"]
    address = cluster.control_plane.router_address
    assert f"the sandbox's service can't be reached by the router at {address}" in message
    assert "can't connect to it (the sandbox is started)" in message
    service.wait_for(lambda: execute(service, identity, "echo up").is_success, "the restart")

    cluster.control_plane.router.stop()
    response = execute(service, identity, "true")
    assert response.status_code == 502
    message = response.json()["message"]
    assert f"by the router at {address}" in message and "Connection refused" in message


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

    made = service.http.post("/api/sandbox", json={"name": "named", "env": {"GIVEN": "x"}}).json()
    service.wait_for(follow, "the address")
    wait_until_started(service, made["id"])
    box = sdk(service).get("named")
    assert size_of_download(service, box, 64 << 20) == 64 << 20
    use_terminal(box, "x")
    before = follow()
    box.stop()
    service.http.post(f"/api/sandbox/{made['id']}/start")
    service.wait_for(lambda: follow() not in ("", before), "another pod")
    wait_until_started(service, made["id"])
    assert execute(service, made["id"], "echo moved").json()["result"] == "moved\n"
