"""Sandboxes on a cluster: from a warm pool and cold, by an SDK, by several control planes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any

import httpx
import pytest
from daytona import CreateSandboxFromSnapshotParams
from daytona import Daytona
from daytona import DaytonaConfig
from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.errors import NoCapacity
from toolbox_fleet.errors import Refused
from toolbox_fleet.errors import WrongState
from toolbox_fleet.models.sandboxes import Changes
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import NetworkSettings
from toolbox_fleet.models.sandboxes import SandboxVolume
from toolbox_fleet.settings import FleetSettings
from toolbox_fleet.testing import Recorder
from toolbox_fleet.testing import eventually
from toolbox_fleet.testing import is_gone
from toolbox_fleet.testing import made
from toolbox_fleet.testing import reaches
from toolbox_fleet_kubernetes import creating
from toolbox_fleet_kubernetes import janitor
from toolbox_fleet_kubernetes.backend import KubernetesFleet
from toolbox_fleet_kubernetes.objects import manifests
from toolbox_fleet_kubernetes.objects.names import digest
from toolbox_fleet_kubernetes.objects.records import new_record
from toolbox_fleet_kubernetes.settings import KubernetesSettings

from toolbox.errors import Unavailable
from toolbox.testing import DEADLINE
from toolbox.testing import Service

from .clients import size_of_download
from .clients import use_signed_urls
from .clients import use_terminal
from .cluster import Cluster
from .fleets import add_template
from .fleets import ask
from .fleets import left
from .fleets import pod_of
from .fleets import settings

POOL = 2

MANY = 8
"""Sandboxes that are created at once: four times as many as the pool has ready."""


def pods_of(cluster: Cluster, place: str) -> dict[str, Any]:
    return {one["metadata"]["name"]: one for one in cluster.api.list("pods", place)}


def test_a_warm_sandbox_has_its_environment_also_after_a_resume(
    cluster: Cluster, place: str, backend: FleetBackend
) -> None:
    waiting = set(pods_of(cluster, place))
    sandbox = made(backend, name="box", snapshot="warm", env={"GIVEN": "x y"}, labels={"a": "b"})
    pod = pod_of(cluster, place, sandbox.id)
    claim = cluster.api.get("sandboxclaims", f"sandbox-{sandbox.id}", place)
    assert pod in waiting, "it was started before"
    assert "env" not in claim["spec"]
    assert ask(backend, "box", "echo $GIVEN") == "x y"
    token = backend.upstream("box").token
    assert token != "token-of-the-pool" and token not in json.dumps(claim)
    backend.stop("box", force=True)
    reaches(backend, "box", "stopped")
    backend.start("box")
    reaches(backend, "box", "started")
    assert ask(backend, "box", "echo $GIVEN") == "x y"
    assert backend.upstream("box").token == token
    assert pods_of(cluster, place)[pod]["spec"]["automountServiceAccountToken"] is False
    assert ask(backend, "box", "find /run/secrets /var/run/secrets 2>/dev/null") == ""


def test_a_warm_sandbox_is_started_when_it_is_created(
    backend: FleetBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients follow no events then, which may overtake what they have asked for."""
    monkeypatch.setattr(creating, "WARM", DEADLINE)
    eventually(lambda: _is_full(backend), "the warm pool")
    assert backend.create(CreateSandbox(snapshot="warm")).state == "started"
    monkeypatch.setattr(creating, "WARM", 0.0)
    eventually(lambda: _is_full(backend), "the warm pool")
    assert reaches(backend, backend.create(CreateSandbox(snapshot="warm")).id, "started")


def _is_full(backend: Any) -> bool:
    (pool,) = backend.warm_pools()
    return bool(pool.current_size == pool.pool)


def test_the_service_of_a_pod_knows_the_sandbox_s_token_only(
    cluster: Cluster, place: str, backend: FleetBackend
) -> None:
    sandbox = made(backend, snapshot="warm")
    upstream = backend.upstream(sandbox.id)
    for token, status in ((upstream.token, 200), ("token-of-the-pool", 401)):
        connection = HTTPConnection(upstream.host, upstream.port, timeout=DEADLINE)
        with contextlib.closing(connection):
            connection.request("GET", "/info", headers={"Authorization": f"Bearer {token}"})
            found = connection.getresponse().status
            assert (found == 401) == (status == 401)


def test_a_container_that_is_started_again_gets_it_again(
    cluster: Cluster, place: str, backend: FleetBackend
) -> None:
    sandbox = made(backend, snapshot="warm", env={"GIVEN": "again"})
    recorder = Recorder(backend)
    cluster.kubelet.pod(pod_of(cluster, place, sandbox.id), place).exhaust_memory()
    # Of events, as it may be started again before a busy machine looks.
    eventually(lambda: recorder.states(sandbox.id)[-2:] == ["starting", "started"])
    assert ask(backend, sandbox.id, "echo $GIVEN") == "again"


def test_two_control_planes_serve_the_same_sandboxes(
    backend: FleetBackend, replica: FleetBackend
) -> None:
    list(replica.sandboxes())
    sandbox = backend.create(CreateSandbox(name="shared", snapshot="warm", env={"A": "1"}))
    assert replica.sandbox(sandbox.id).name == replica.sandbox("shared").name, "found at once"
    reaches(backend, "shared", "started")
    assert reaches(replica, "shared", "started").env == {"A": "1"}
    assert ask(replica, "shared", "echo $A") == "1"
    replica.change(sandbox.id, Changes(labels={"by": "replica"}))
    eventually(lambda: backend.sandbox(sandbox.id).labels == {"by": "replica"})

    def change(number: int) -> None:
        where = (backend, replica)[number % 2]
        where.change(sandbox.id, Changes(public=True) if number < 4 else Changes(labels={"n": "1"}))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(change, range(8)))
    eventually(lambda: backend.sandbox(sandbox.id).public and replica.sandbox(sandbox.id).public)
    assert backend.sandbox(sandbox.id).labels == {"n": "1"}, "no change undoes another"
    replica.delete("shared")
    eventually(lambda: is_gone(backend, sandbox.id) and is_gone(replica, sandbox.id))


def test_many_creates_at_once_get_one_sandbox_each(
    cluster: Cluster, place: str, backend: Any
) -> None:
    """More than the pool has ready: as a whole in tests/bench, a hundred of a pool of twenty."""
    eventually(lambda: _is_full(backend), "the warm pool")
    with ThreadPoolExecutor(MANY) as threads:
        wanted = [CreateSandbox(snapshot="warm", env={"N": str(n)}) for n in range(MANY)]
        found = list(threads.map(backend.create, wanted))
    for sandbox in found:
        reaches(backend, sandbox.id, "started")
        assert ask(backend, sandbox.id, "echo $N") == sandbox.env["N"]
    assert len({pod_of(cluster, place, one.id) for one in found}) == MANY
    assert len(cluster.api.list("sandboxclaims", place)) == MANY
    figures = {one.name: one.value for one in backend.figures() if "warm_hits" in one.name}
    assert 2 <= sum(figures.values()) < MANY, "those that had to start were no hits"


def test_what_a_create_has_left_that_was_cut_short_is_removed(
    cluster: Cluster, place: str, make_backend: Callable[..., Any], monkeypatch: Any
) -> None:
    monkeypatch.setattr(janitor, "BETWEEN", 0.2)
    monkeypatch.setattr(janitor, "CREATING", 0.5)
    record = new_record(CreateSandbox(name="half made"))
    secret = manifests.secret(record, "toolbox", "token", "key", {})
    cluster.api.create("secrets", secret, place)
    backend = make_backend(KubernetesFleet, settings(cluster, place), FleetSettings())
    assert list(backend.sandboxes()) == []
    eventually(lambda: left(cluster, place) == [])


def test_a_sandbox_that_others_delete_frees_its_name(
    cluster: Cluster, place: str, backend: FleetBackend
) -> None:
    sandbox = made(backend, name="taken away", snapshot="warm")
    cluster.api.delete("sandboxclaims", f"sandbox-{sandbox.id}", place)
    eventually(lambda: is_gone(backend, sandbox.id))
    assert made(backend, name="taken away", snapshot="warm").id != sandbox.id


def test_a_pod_that_is_evicted_is_replaced(
    cluster: Cluster, place: str, backend: FleetBackend
) -> None:
    sandbox = made(backend, snapshot="warm", env={"GIVEN": "anew"})
    pod, uid = pod_of(cluster, place, sandbox.id), ""
    uid = pods_of(cluster, place)[pod]["metadata"]["uid"]
    cluster.api.delete("pods", pod, place, gracePeriodSeconds=0)

    def is_replaced() -> bool:
        found = [one for one in pods_of(cluster, place).values() if one["metadata"]["uid"] != uid]
        names = [one["metadata"]["name"] for one in found]
        return pod in names and backend.sandbox(sandbox.id).state == "started"

    eventually(is_replaced)
    assert ask(backend, sandbox.id, "echo $GIVEN") == "anew"


def test_a_sandbox_with_sizes_of_its_own_and_a_volume(
    cluster: Cluster, place: str, backend: Any
) -> None:
    volume = backend.create_volume("files")
    mount = [SandboxVolume(volume_id="files", mount_path="/data", subpath="inner")]
    first = made(backend, cpu=2, memory=3, volumes=mount)
    assert (first.cpu, first.memory, first.volumes[0].volume_id) == (2, 3, volume.id)
    (pod,) = [one for name, one in pods_of(cluster, place).items() if first.id in name]
    limits = pod["spec"]["containers"][0]["resources"]["limits"]
    assert limits == {"cpu": "2", "memory": "3Gi"}
    ask(backend, first.id, "echo kept > /data/file")
    backend.delete(first.id)
    second = made(backend, volumes=mount)
    assert ask(backend, second.id, "cat /data/file") == "kept"


def test_the_network_is_limited_before_there_is_a_pod(
    cluster: Cluster, place: str, backend: Any
) -> None:
    sandbox = backend.create(CreateSandbox(network_block_all=True))
    policy = cluster.api.get("networkpolicies", f"sandbox-{sandbox.id}", place)
    assert policy["spec"]["policyTypes"] == ["Egress"] and "egress" not in policy["spec"]
    reaches(backend, sandbox.id, "started")
    (pod,) = [one for name, one in pods_of(cluster, place).items() if sandbox.id in name]
    selector = policy["spec"]["podSelector"]["matchLabels"]
    assert selector.items() <= pod["metadata"]["labels"].items()
    settings = NetworkSettings(network_block_all=False, network_allow_list="10.1.0.0/16")
    changed = backend.set_network(sandbox.id, settings)
    assert (changed.network_block_all, changed.network_allow_list) == (False, "10.1.0.0/16")
    policy = cluster.api.get("networkpolicies", f"sandbox-{sandbox.id}", place)
    assert policy["spec"]["egress"] == [{"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}]


def test_a_time_to_live_is_kept_by_the_cluster_too(
    cluster: Cluster, place: str, backend: FleetBackend
) -> None:
    for snapshot, resource in (("warm", "sandboxclaims"), (None, "sandboxes")):
        sandbox = backend.create(CreateSandbox(ttl_minutes=60, snapshot=snapshot))
        found = cluster.api.get(resource, f"sandbox-{sandbox.id}", place)["spec"]
        found = found.get("lifecycle", found)
        assert found["shutdownPolicy"] == "Delete"
        assert found["shutdownTime"][:16] == str(sandbox.auto_destroy_at)[:16]


def test_failures_have_reasons(cluster: Cluster, place: str, backend: Any) -> None:
    add_template(cluster, place, "no-image", image="no/such-image:1")
    failed = backend.create(CreateSandbox(snapshot="no-image"))
    eventually(lambda: backend.sandbox(failed.id).state == "error")
    assert "no/such-image:1" in backend.sandbox(failed.id).error_reason
    large = backend.create(CreateSandbox(memory=999_999))
    eventually(lambda: backend.sandbox(large.id).error_reason)
    found = backend.sandbox(large.id)
    assert found.state == "creating" and "Insufficient memory" in found.error_reason
    with pytest.raises(WrongState):
        backend.upstream(large.id)


def test_a_pod_without_memory_left_is_an_error_that_says_so(
    cluster: Cluster, place: str, backend: Any
) -> None:
    add_template(cluster, place, "once", {"restartPolicy": "Never"})
    sandbox = made(backend, snapshot="once")
    cluster.kubelet.pod(f"sandbox-{sandbox.id}", place).exhaust_memory()
    eventually(lambda: backend.sandbox(sandbox.id).state == "error")
    assert "OOMKilled" in backend.sandbox(sandbox.id).error_reason


def test_a_quota_is_told_and_nothing_is_left(
    cluster: Cluster, place: str, backend: FleetBackend
) -> None:
    hard = {"count/sandboxes.agents.x-k8s.io": "0"}
    quota = {"metadata": {"name": "few"}, "spec": {"hard": hard}}
    cluster.api.create("resourcequotas", quota, place)
    status = {"status": {"hard": hard, "used": hard}}
    # A controller counts; here nobody does.
    cluster.api.patch("resourcequotas/status", "few", status, place)
    try:
        with pytest.raises(NoCapacity, match="quota"):
            backend.create(CreateSandbox(name="beyond", network_block_all=True))
    finally:
        cluster.api.delete("resourcequotas", "few", place)
    assert left(cluster, place) == []
    made(backend, name="beyond")


def test_a_control_plane_without_rights_says_so(
    cluster: Cluster, place: str, make_backend: Callable[..., Any], tmp_path: Any
) -> None:
    token = cluster.account_token("default", place)
    file = tmp_path / "kubeconfig"
    file.write_text(cluster.control_plane.kubeconfig_for(token, place))
    given = KubernetesSettings(kubeconfig=str(file), namespace=place)
    backend = make_backend(KubernetesFleet, given, FleetSettings())
    with pytest.raises(Refused, match="lacks rights"):
        backend.create(CreateSandbox())


def test_foreign_objects_are_not_touched(
    cluster: Cluster, place: str, backend: Any, make_backend: Callable[..., Any]
) -> None:
    other = make_backend(KubernetesFleet, settings(cluster, place, owner="other"), FleetSettings())
    sandbox = other.create(CreateSandbox(name="theirs"))
    mine = made(backend)
    assert [one.id for one in backend.sandboxes()] == [mine.id]
    assert is_gone(backend, sandbox.id)
    with pytest.raises(Refused):
        backend.delete_snapshot("warm")
    reaches(other, "theirs", "started")
    other.delete("theirs")
    eventually(lambda: is_gone(other, sandbox.id))


def test_an_api_server_that_is_restarted_is_followed_again(
    cluster: Cluster, place: str, backend: FleetBackend
) -> None:
    sandbox = made(backend, name="survivor")
    cluster.control_plane.server.stop()
    assert backend.sandbox("survivor").state == "started", "what is known is still told"
    with pytest.raises(Unavailable):
        backend.create(CreateSandbox())
    assert ask(backend, "survivor", "echo here") == "here"
    cluster.control_plane.server.start()
    cluster.control_plane.wait_ready()
    eventually(lambda: _stops(backend, sandbox.id))
    reaches(backend, "survivor", "stopped")
    assert left(cluster, place) == [f"sandbox-{digest(sandbox.name)}"]


def _stops(backend: FleetBackend, key: str) -> bool:
    with contextlib.suppress(Unavailable):
        backend.stop(key, force=True)
        return True
    return False


def test_the_sdk_creates_and_uses_a_sandbox(cluster: Cluster, place: str, tmp_path: Any) -> None:
    config = (
        '[fleet]\nbackend = "kubernetes"\n[fleet.kubernetes]\n'
        f'kubeconfig = "{cluster.kubeconfig}"\nnamespace = "{place}"\n'
    )
    service = Service(tmp_path, settings=config)
    try:
        api = f"{service.url}/api"
        daytona = Daytona(DaytonaConfig(api_key=service.token, api_url=api, target="local"))
        wanted = CreateSandboxFromSnapshotParams(
            snapshot="warm", name="sdk", env_vars={"GIVEN": "by the SDK"}, labels={"a": "b"}
        )
        box = daytona.create(wanted)
        assert box.process.exec("echo $GIVEN").result.strip() == "by the SDK"
        box.fs.upload_file(b"x" * 100_000, "file")
        assert len(box.fs.download_file("file")) == 100_000
        use_signed_urls(box, "signed")
        old = box.download_url(f"{box.get_work_dir()}/signed")
        box.rotate_signing_key()
        assert httpx.get(old, timeout=DEADLINE).status_code == 401
        use_signed_urls(box, "signed by another key")
        use_terminal(box, "by the SDK")
        assert size_of_download(service, box, 1 << 30) == 1 << 30
        assert daytona.get("sdk").labels["a"] == "b"
        box.stop()
        response = service.http.get(f"/toolbox/{box.id}/info")
        assert response.status_code == 409 and "is the sandbox started" in response.text
        box.start()
        use_signed_urls(box, "signed again")
        box.delete()
    finally:
        service.stop()
    assert left(cluster, place) == []
