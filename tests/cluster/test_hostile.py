"""Wishes that a cluster can't fulfill as they are, and objects and failures that come between."""

from __future__ import annotations

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from toolbox_fleet.contract import HOSTILE
from toolbox_fleet.errors import InvalidValue
from toolbox_fleet.errors import NameTaken
from toolbox_fleet.errors import NoSuchResource
from toolbox_fleet.errors import NoSuchSandbox
from toolbox_fleet.models.sandboxes import Changes
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import SandboxVolume
from toolbox_fleet.models.secrets import CreateSecret
from toolbox_fleet.models.snapshots import CreateSnapshot
from toolbox_fleet.names import LONGEST_LABEL
from toolbox_fleet.settings import FleetSettings
from toolbox_fleet.testing import Recorder
from toolbox_fleet.testing import eventually
from toolbox_fleet.testing import is_gone
from toolbox_fleet.testing import made
from toolbox_fleet.testing import reaches
from toolbox_fleet.testing import stopped
from toolbox_fleet_kubernetes import janitor
from toolbox_fleet_kubernetes.backend import KubernetesFleet
from toolbox_fleet_kubernetes.objects.names import secret_name
from toolbox_fleet_kubernetes.objects.names import template_name

from toolbox.errors import Unavailable

from .cluster import Cluster
from .fleets import EXTENSIONS
from .fleets import add_template
from .fleets import ask
from .fleets import left
from .fleets import settings

NEVER = 999_999
"""GiB of memory that no node has: such a sandbox has objects, and no process."""

BURST = 24


@pytest.mark.parametrize("name", ["a" * 63, "b" * 64, "c" * 255, "-.-", "UPPER", "ключ \U0001f9ea"])
def test_a_name_is_the_clients_business(
    cluster: Cluster, place: str, backend: Any, replica: Any, name: str
) -> None:
    sandbox = backend.create(CreateSandbox(name=name, memory=NEVER, network_block_all=True))
    assert replica.sandbox(name).id == backend.sandbox(name).id == sandbox.id
    with pytest.raises(NameTaken):
        replica.create(CreateSandbox(name=name, memory=NEVER))
    replica.delete(name)
    eventually(lambda: is_gone(backend, sandbox.id))
    again = backend.create(CreateSandbox(name=name, memory=NEVER))
    assert again.id != sandbox.id


def test_labels_are_the_clients_business(cluster: Cluster, place: str, backend: Any) -> None:
    sandbox = backend.create(CreateSandbox(labels=HOSTILE, memory=NEVER))
    assert HOSTILE.items() <= sandbox.labels.items()
    # More than the annotations of an object may have.
    much = {f"{number}": "\U0001f9ea" * LONGEST_LABEL for number in range(20)}
    with pytest.raises(InvalidValue, match="annotations"):
        backend.change(sandbox.id, Changes(labels=much))
    assert HOSTILE.items() <= backend.sandbox(sandbox.id).labels.items()
    before = left(cluster, place)
    with pytest.raises(InvalidValue, match="annotations"):
        backend.create(CreateSandbox(name="much", labels=much, memory=NEVER))
    assert left(cluster, place) == before


@pytest.mark.parametrize("megabytes", [1, 2, 5])
def test_an_environment_that_no_secret_can_have(
    cluster: Cluster, place: str, backend: Any, megabytes: int
) -> None:
    env = {f"V{n}": "s3cret" * 17_000 for n in range(11 * megabytes)}
    with pytest.raises(InvalidValue) as refused:
        backend.create(CreateSandbox(name="large", env=env))
    assert "s3crets3cret" not in str(refused.value)
    assert left(cluster, place) == []
    with pytest.raises(InvalidValue):
        backend.create_secret(CreateSecret(name="KEY", value="x" * megabytes * (1 << 20) + "x"))
    assert list(backend.secrets()) == []


def test_a_volume_that_others_have_deleted(cluster: Cluster, place: str, backend: Any) -> None:
    volume = backend.create_volume("files")
    mount = [SandboxVolume(volume_id="files", mount_path="/data")]
    sandbox = stopped(backend, volumes=mount, env={"GIVEN": "x"})
    (claim,) = cluster.api.list("persistentvolumeclaims", place)
    cluster.api.delete("persistentvolumeclaims", claim["metadata"]["name"], place)
    with pytest.raises(NoSuchResource, match="files"):
        backend.create(CreateSandbox(volumes=mount))
    backend.start(sandbox.id)
    eventually(lambda: backend.sandbox(sandbox.id).error_reason)
    assert claim["metadata"]["name"] in backend.sandbox(sandbox.id).error_reason
    # It is found as soon as it is there again.
    cluster.api.create(
        "persistentvolumeclaims",
        {
            "metadata": {key: claim["metadata"][key] for key in ("name", "labels", "annotations")},
            "spec": {key: claim["spec"][key] for key in ("accessModes", "resources")},
        },
        place,
    )
    eventually(lambda: backend.sandbox(sandbox.id).state == "started")
    assert ask(backend, sandbox.id, "echo $GIVEN; ls /data") == "x"
    backend.delete(sandbox.id)
    eventually(lambda: is_gone(backend, sandbox.id))
    backend.delete_volume(volume.id)


def test_foreign_objects_of_the_same_names(cluster: Cluster, place: str, backend: Any) -> None:
    cluster.api.create("secrets", {"metadata": {"name": secret_name("theirs")}}, place)
    spec = {"podTemplate": {"spec": {"containers": [{"name": "x", "image": "x"}]}}}
    body = {"apiVersion": EXTENSIONS, "kind": "SandboxTemplate", "spec": spec}
    named = {**body, "metadata": {"name": template_name("theirs")}}
    cluster.api.create("sandboxtemplates", named, place)
    with pytest.raises(NameTaken):
        backend.create(CreateSandbox(name="theirs"))
    with pytest.raises(NameTaken):
        backend.create_snapshot(CreateSnapshot(name="theirs", image_name="toolbox"))
    for call in (backend.sandbox, backend.start, backend.delete):
        with pytest.raises(NoSuchSandbox):
            call("theirs")
    assert cluster.api.find("secrets", secret_name("theirs"), place)
    assert cluster.api.find("sandboxtemplates", template_name("theirs"), place)
    cluster.api.delete("secrets", secret_name("theirs"), place)
    cluster.api.delete("sandboxtemplates", template_name("theirs"), place)


def test_a_sandbox_that_only_looks_like_ours(cluster: Cluster, place: str, backend: Any) -> None:
    """It has our labels and no record, or one that is broken: somebody has made it by hand."""
    spec = {"podTemplate": {"spec": {"containers": [{"name": "x", "image": "x"}]}}}
    for number, given in enumerate(({}, {"sandbox-toolbox/record": "{]"})):
        identity = f"00000000-0000-4000-8000-{number:012}"
        metadata = {
            "name": f"sandbox-{identity}",
            "labels": {"sandbox-toolbox/owner": "toolbox", "sandbox-toolbox/id": identity},
            "annotations": given,
        }
        body = {"apiVersion": "agents.x-k8s.io/v1beta1", "kind": "Sandbox", "spec": spec}
        cluster.api.create("sandboxes", {**body, "metadata": metadata}, place)
        with pytest.raises(NoSuchSandbox):
            backend.delete(identity)
    assert list(backend.sandboxes()) == []
    assert made(backend).state == "started"
    for found in cluster.api.list("sandboxes", place, labelSelector="!sandbox-toolbox/name"):
        cluster.api.delete("sandboxes", found["metadata"]["name"], place)


def test_a_secret_that_others_have_broken(cluster: Cluster, place: str, backend: Any) -> None:
    """Its sandbox can't be reached; all others go on, and none is listed anew."""
    broken = made(backend, env={"GIVEN": "x"})
    name, nonsense = secret_name(broken.name), base64.b64encode(b"\xff\n\xfe").decode()
    before = backend._feeds.lists()
    data = dict.fromkeys(("token", "environment", "signing-key"), nonsense)
    cluster.api.patch("secrets", name, {"data": data}, place)
    eventually(lambda: backend.sandbox(broken.id).env == {})
    assert made(backend, env={"GIVEN": "y"}).env == {"GIVEN": "y"}
    assert backend.upstream(broken.id).token.isascii()
    assert backend._feeds.lists() == before
    backend.delete(broken.id)
    eventually(lambda: is_gone(backend, broken.id))


def test_a_deletion_by_many_at_once(
    cluster: Cluster, place: str, backend: Any, replica: Any
) -> None:
    sandbox = made(backend)
    reaches(replica, sandbox.id, "started")
    recorders = Recorder(backend), Recorder(replica)

    def delete(number: int) -> str:
        with suppress(NoSuchSandbox):
            return str((backend, replica)[number % 2].delete(sandbox.id).state)
        return "gone"

    with ThreadPoolExecutor(8) as threads:
        assert {"destroying"} <= set(threads.map(delete, range(8))) <= {"destroying", "gone"}
    eventually(lambda: is_gone(backend, sandbox.id) and is_gone(replica, sandbox.id))
    assert left(cluster, place) == []
    for recorder in recorders:
        eventually(lambda one=recorder: one.states(sandbox.id) == ["destroying", "destroyed"])


def test_an_api_server_that_dies_in_a_burst_of_creations(
    cluster: Cluster, place: str, backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is there as a whole or leaves nothing, whatever of it was written."""
    server = cluster.control_plane.server

    def create(number: int) -> str | None:
        if number == BURST // 2:
            server.stop()
        try:
            wanted = CreateSandbox(name=f"burst {number}", memory=NEVER, network_block_all=True)
            return str(backend.create(wanted).id)
        except Unavailable:
            return None

    with ThreadPoolExecutor(BURST // 3) as threads:
        found = set(threads.map(create, range(BURST)))
    server.start()
    cluster.control_plane.wait_ready()
    assert None in found
    eventually(lambda: backend.details()["cluster"] == "followed")
    monkeypatch.setattr(janitor, "BETWEEN", 0.5)
    backend._janitor._soon()
    eventually(lambda: {one.id for one in backend.sandboxes()} == found - {None})
    # A Secret, and a policy.
    eventually(lambda: len(left(cluster, place)) == 2 * len(found - {None}))
    assert backend.create(CreateSandbox(name=f"burst {BURST - 1}", memory=NEVER))


def test_without_a_namespace(
    cluster: Cluster, make_backend: Callable[..., Any], namespace: str
) -> None:
    nowhere = make_backend(KubernetesFleet, settings(cluster, "nowhere"), FleetSettings())
    assert list(nowhere.sandboxes()) == []
    for call in (
        lambda: nowhere.create_volume("files"),
        lambda: nowhere.create_secret(CreateSecret(name="KEY", value="x")),
    ):
        with pytest.raises(Unavailable, match="nowhere"):
            call()
    ending = cluster.namespace("ending")
    add_template(cluster, ending)
    backend = make_backend(KubernetesFleet, settings(cluster, ending), FleetSettings())
    assert list(backend.sandboxes()) == []
    # Nobody removes it here, so it stays as it is while it ends.
    cluster.api.delete("namespaces", ending)
    with pytest.raises(Unavailable, match="terminated"):
        backend.create(CreateSandbox())
