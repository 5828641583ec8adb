"""The control plane of a cluster: one sandbox, many at once, and thousands of objects.

The cluster is that of ``tests/cluster``: a real API server, etcd and controller. Pods are processes
of this machine, so how soon those start that no pool has ready is this machine's.
"""

from __future__ import annotations

import json
import statistics
import time
import uuid
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
from cluster import fleets
from cluster import programs
from cluster.api import Api
from cluster.api import condition
from cluster.cluster import Cluster
from cluster.cluster import running_cluster
from cluster.server import ControlPlane
from cluster.server import Network
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet_kubernetes.client.connection import PAGE
from toolbox_fleet_kubernetes.objects import manifests
from toolbox_fleet_kubernetes.objects.names import PREPARED
from toolbox_fleet_kubernetes.objects.names import SIGNED
from toolbox_fleet_kubernetes.objects.names import digest
from toolbox_fleet_kubernetes.objects.names import object_name
from toolbox_fleet_kubernetes.objects.records import new_record

from bench.fleet import HEADERS
from bench.fleet import POLL
from bench.frame import Bench
from bench.frame import Row
from bench.frame import Sample
from bench.frame import timed
from bench.servers import Server
from bench.servers import toolbox

TOGETHER, POOL = 100, 20
OBJECTS = 5000
LISTS = 200
LOOK = 0.5
"""Seconds between two looks at a sandbox that no pool had ready."""
SETTINGS = """
[server]
# Of a hundred connections some are idle for minutes, and a client may use one as it expires.
keep_alive = 3600
[fleet]
backend = "kubernetes"
[fleet.kubernetes]
kubeconfig = "{kubeconfig}"
namespace = "{namespace}"
# They all start on this machine.
start_timeout = 3600
"""
TEMPLATE_SPEC = {"podTemplate": {"spec": {"containers": [fleets.CONTAINER]}}}


def bench_warm(bench: Bench) -> Iterator[Row]:
    """From create() with an environment and labels to the first exec, from a warm pool, beside a
    claim of the same pool that gives neither.
    """
    if not programs.are_built():
        return
    with running_cluster() as cluster:
        place = cluster.namespace("bench")
        fleets.add_template(cluster, place, "warm")
        fleets.add_pool(cluster, place, 1, "warm")
        settings = SETTINGS.format(kubeconfig=cluster.kubeconfig, namespace=place)
        with toolbox(settings) as server, client(server) as http:
            yield Row(
                "create() to the first exec over a claim of a warm pod",
                unit="s",
                ours=lambda: warm(cluster, place, http),
                floor="<= 0.5",
            )


def warm(cluster: Cluster, place: str, http: httpx.Client) -> Sample:
    """Seconds that create() takes over a claim, both of a pod that is ready."""
    _until(lambda: _is_full(cluster, place), "the warm pool")
    claim = timed(lambda: _claim(cluster, place))
    cluster.api.delete("sandboxclaims", "bare", place)
    _until(lambda: _is_full(cluster, place), "the warm pool")
    began = time.perf_counter()
    _, identity = create_and_run(http, 1, began)
    total = time.perf_counter() - began
    _json(http.delete(f"/api/sandbox/{identity}"))
    _until(lambda: not fleets.left(cluster, place), "the end of the claims")
    return Sample(total - claim, {"create()": total, "claim": claim})


def _is_full(cluster: Cluster, place: str) -> bool:
    found = cluster.api.get("sandboxwarmpools", "warm", place)
    gone = cluster.api.find("sandboxclaims", "bare", place) is None
    return gone and (found.get("status") or {}).get("readyReplicas") == 1


def _claim(cluster: Cluster, place: str) -> None:
    body = {"apiVersion": fleets.EXTENSIONS, "kind": "SandboxClaim", "metadata": {"name": "bare"}}
    cluster.api.create("sandboxclaims", {**body, "spec": {"warmPoolRef": {"name": "warm"}}}, place)
    while (
        condition(cluster.api.get("sandboxclaims", "bare", place), "Ready").get("status") != "True"
    ):
        time.sleep(POLL)


def bench_together(bench: Bench) -> Iterator[Row]:
    """A hundred created at once, with environments and labels, of which a pool has twenty ready."""
    if not programs.are_built():
        return
    with running_cluster() as cluster:
        place = cluster.namespace("bench")
        fleets.add_template(cluster, place, "warm", env=fleets.LEAST)
        fleets.add_pool(cluster, place, POOL, "warm")
        settings = SETTINGS.format(kubeconfig=cluster.kubeconfig, namespace=place)
        with toolbox(settings) as server, client(server) as http:
            yield Row(
                f"{TOGETHER} at once, a pool of {POOL}: each to its first exec",
                unit="s",
                ours=lambda: together(cluster, place, http),
                rounds=1,
            )


@contextmanager
def client(server: Server) -> Iterator[httpx.Client]:
    """Connections to a control plane, as many as there are clients."""
    # httpx closes one that is idle for long in one thread while another begins to use it.
    limits = httpx.Limits(max_connections=None, keepalive_expiry=None)
    with httpx.Client(
        base_url=f"http://127.0.0.1:{server.port}", headers=HEADERS, timeout=600, limits=limits
    ) as http:
        yield http


def together(cluster: Cluster, place: str, http: httpx.Client) -> Sample:
    """Seconds until the last one has run a command; none may be given twice, or be left."""
    began = time.perf_counter()

    def create(number: int) -> tuple[float, str]:
        return create_and_run(http, number, began)

    with ThreadPoolExecutor(TOGETHER) as threads:
        found = sorted(threads.map(create, range(TOGETHER)))
    pods = {fleets.pod_of(cluster, place, identity) for _, identity in found}
    if len(pods) != TOGETHER:
        raise RuntimeError(f"{TOGETHER} claims have {len(pods)} pods")
    with ThreadPoolExecutor(TOGETHER) as threads:
        list(threads.map(lambda one: _json(http.delete(f"/api/sandbox/{one[1]}")), found))
    _until(lambda: not fleets.left(cluster, place), "the end of the claims")
    _until(lambda: not _of_claims(cluster, place), "the end of their sandboxes")
    times = [seconds for seconds, _ in found]
    details = {"the 20th": times[POOL - 1], "p50": statistics.median(times)}
    return Sample(times[-1], details)


def create_and_run(http: httpx.Client, number: int, began: float) -> tuple[float, str]:
    """Create a sandbox and run a command in it; return the seconds since ``began`` and its id."""
    wanted = {"snapshot": "warm", "env": {"N": str(number)}, "labels": {"n": str(number)}}
    made = _json(http.post("/api/sandbox", json=wanted))
    while made["state"] != "started":
        # A probe of a busy machine may be late: then it is starting again for a moment.
        if made["state"] not in ("creating", "starting"):
            raise RuntimeError(f"{made['state']}: {made.get('errorReason')}")
        # As clients that have no events do: a hundred that look all the time fill a processor.
        time.sleep(LOOK)
        made = _json(http.get(f"/api/sandbox/{made['id']}"))
    body = {"command": "echo $N"}
    done = _json(http.post(f"/toolbox/{made['id']}/process/execute", json=body))
    if (done["result"].strip(), made["labels"]["n"]) != (str(number), str(number)):
        raise RuntimeError(f"sandbox {number} is another's: {done}")
    return time.perf_counter() - began, made["id"]


def _of_claims(cluster: Cluster, place: str) -> list[Any]:
    found = cluster.api.list("sandboxes", place)
    owners = [one["metadata"].get("ownerReferences", [{}])[0].get("kind") for one in found]
    return [owner for owner in owners if owner == "SandboxClaim"]


def _until(is_so: Callable[[], object], what: str, seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            raise RuntimeError(f"{what} did not happen in {seconds} s")
        time.sleep(0.1)


def _json(response: httpx.Response) -> Any:
    if response.is_error:
        raise RuntimeError(f"{response.status_code}: {response.text}")
    return response.json()


def bench_objects(bench: Bench) -> Iterator[Row]:
    """Lists of thousands of running sandboxes, over HTTP, and what a replica takes for them."""
    if not programs.are_built():
        return
    network = Network()
    plane = ControlPlane(bench.directory, network)
    try:
        plane.start()
        # No pod runs: the objects are written as controller and kubelet would have.
        plane.controller.stop()
        place = "bench"
        plane.api.create("namespaces", {"metadata": {"name": place}})
        settings = SETTINGS.format(kubeconfig=plane.kubeconfig, namespace=place)
        yield from _objects(plane, place, settings)
    finally:
        plane.stop()
        plane.close()
        network.close()


def _objects(plane: ControlPlane, place: str, settings: str) -> Iterator[Row]:
    with toolbox(settings) as server, client(server) as http:
        _json(http.get("/api/sandbox"))
        empty = server.memory() / 1e6
    add_sandboxes(plane.api, place, OBJECTS)
    with toolbox(settings) as server, client(server) as http:
        started = timed(lambda: _json(http.get("/api/sandbox")))

        def page() -> Sample:
            times = sorted(timed(lambda: _json(http.get("/api/sandbox"))) for _ in range(LISTS))
            return Sample(times[int(LISTS * 0.95)] * 1e3, {"p50": times[LISTS // 2] * 1e3})

        yield Row(f"a page of {OBJECTS}, p95", unit="ms", ours=page, floor="<= 100", rounds=3)
        query = {"labels": json.dumps({"n": "17"})}

        def by_label() -> Sample:
            times = sorted(
                timed(lambda: _json(http.get("/api/sandbox", params=query))) for _ in range(LISTS)
            )
            return Sample(times[int(LISTS * 0.95)] * 1e3, {"p50": times[LISTS // 2] * 1e3})

        yield Row("one of them by its label, p95", unit="ms", ours=by_label, rounds=3)

        def memory() -> Sample:
            total = server.memory() / 1e6
            per = (total - empty) * 1000 / OBJECTS
            return Sample(total, {"empty": empty, "for each 1000": per})

        yield Row("memory of the control plane", unit="MB", ours=memory, floor="<= 200", rounds=1)
        yield Row("first page after its start", unit="s", ours=lambda: started, rounds=1)
        yield Row(
            "pages of lists after the API server's restart",
            unit="",
            ours=lambda: reconnect(plane, place, http),
            # Each of the six kinds once: a restart has forgotten where the watches were.
            floor=f"<= {3 + 3 * (OBJECTS // PAGE + 1)}",
            rounds=1,
        )


def reconnect(plane: ControlPlane, place: str, http: httpx.Client) -> float:
    """Number of pages of all kinds that the API server is asked for after its own restart."""
    plane.restart_server()
    # A new object is told of by a watch only when that follows again.
    [identity] = add_sandboxes(plane.api, place, 1)
    _until(lambda: http.get(f"/api/sandbox/{identity}").is_success, "the watch's reconnection")
    _until(lambda: _cluster_of(http) == "followed", "all watches' reconnection")
    return sum(fleets.lists(plane.api).values())


def _cluster_of(http: httpx.Client) -> str:
    found = _json(http.get("/plugins"))
    return str(json.dumps(found).partition('"cluster": "')[2].partition('"')[0])


def add_sandboxes(api: Api, place: str, count: int) -> list[str]:
    """Write the objects of sandboxes that run; return their ids."""
    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(lambda number: _add(api, place, number), range(count)))


def _add(api: Api, place: str, number: int) -> str:
    record = new_record(CreateSandbox(labels={"n": str(number)}, env={"N": str(number)}))
    name = object_name(record.id)
    key = uuid.uuid4().hex
    secret = manifests.secret(record, "toolbox", uuid.uuid4().hex, key, {"N": "x"})
    api.create("secrets", secret, place)
    wanted = manifests.sandbox(record, "toolbox", TEMPLATE_SPEC)
    kind = {"apiVersion": "agents.x-k8s.io/v1beta1", "kind": "Sandbox"}
    sandbox = api.create("sandboxes", {**kind, **wanted}, place)
    owner = {
        **kind,
        **{key: sandbox["metadata"][key] for key in ("name", "uid")},
        "controller": True,
    }
    labels = {"agents.x-k8s.io/sandbox-name-hash": "0"}
    metadata = {"name": name, "labels": labels, "ownerReferences": [owner]}
    pod = api.create(
        "pods", {"metadata": metadata, "spec": sandbox["spec"]["podTemplate"]["spec"]}, place
    )
    ready = [{"type": "Ready", "status": "True", "reason": "x", "message": "", **_now()}]
    address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
    run = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": ready}
    api.patch("pods/status", name, {"status": run}, place)
    prepared = {"annotations": {PREPARED: f"{pod['metadata']['uid']}/0", SIGNED: digest(key)}}
    api.patch("sandboxes", name, {"metadata": prepared}, place)
    status = {"conditions": ready, "podIPs": [address]}
    api.patch("sandboxes/status", name, {"status": status}, place)
    return record.id


def _now() -> dict[str, str]:
    return {"lastTransitionTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
