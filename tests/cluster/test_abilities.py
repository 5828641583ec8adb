"""Abilities of sandboxes of a cluster: secrets, sizes, archives, images, networks."""

from __future__ import annotations

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from toolbox_fleet.errors import InUse
from toolbox_fleet.errors import NoSuchResource
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.errors import WrongState
from toolbox_fleet.models.sandboxes import BuildInfo
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import Resources
from toolbox_fleet.models.secrets import CreateSecret
from toolbox_fleet.models.secrets import UpdateSecret
from toolbox_fleet.testing import eventually
from toolbox_fleet.testing import made
from toolbox_fleet.testing import reaches

from .cluster import Cluster
from .fleets import add_template
from .fleets import ask
from .fleets import pod_of

POOL = 1


def test_a_secret_is_in_the_environment_from_the_next_start_on(
    cluster: Cluster, place: str, backend: Any, replica: Any
) -> None:
    secret = backend.create_secret(CreateSecret(name="KEY", value="s3cret"))
    with pytest.raises(NoSuchResource, match="'MISSING'"):
        backend.create(CreateSandbox(secrets=[{"API_KEY": "MISSING"}]))
    sandbox = made(backend, snapshot="warm", env={"A": "1"}, secrets=[{"API_KEY": "KEY"}])
    assert ask(backend, sandbox.id, "echo $A,$API_KEY") == "1,s3cret"
    claim = cluster.api.get("sandboxclaims", f"sandbox-{sandbox.id}", place)
    shown = json.dumps([claim, *cluster.api.list("sandboxes", place)])
    assert "s3cret" not in shown and "s3cret" not in repr([sandbox, *backend.secrets()])
    with pytest.raises(InUse):
        backend.delete_secret(secret.id)
    updates = [UpdateSecret(value="n3w"), UpdateSecret(description="d"), UpdateSecret(hosts=["h"])]
    with ThreadPoolExecutor(3) as threads:
        of = (backend, replica, backend)
        list(threads.map(lambda one, change: one.update_secret(secret.id, change), of, updates))
    (found,) = replica.secrets()
    assert (found.description, found.hosts) == ("d", ["h"]), "no change undoes another"
    backend.set_secrets(sandbox.id, [{"OTHER": "KEY"}])
    backend.stop(sandbox.id, force=True)
    reaches(backend, sandbox.id, "stopped")
    backend.start(sandbox.id)
    reaches(backend, sandbox.id, "started")
    assert ask(backend, sandbox.id, "echo $A,$OTHER,$API_KEY") == "1,n3w,"
    backend.set_secrets(sandbox.id, [])
    backend.delete_secret(secret.id)


def test_a_stopped_one_is_resized_and_archived(
    cluster: Cluster, place: str, backend: Any, replica: Any
) -> None:
    sandbox = made(backend, snapshot="warm", env={"GIVEN": "x"})
    with pytest.raises(WrongState, match="stop the sandbox first"):
        backend.resize(sandbox.id, Resources(cpu=2))
    backend.stop(sandbox.id, force=True)
    reaches(backend, sandbox.id, "stopped")
    assert backend.resize(sandbox.id, Resources(cpu=2, memory=4)).memory == 4
    assert replica.archive(sandbox.id).state == "archived"
    reaches(backend, sandbox.id, "archived")
    assert backend.archive(sandbox.id).desired_state == "archived"
    replica.start(sandbox.id)
    assert reaches(backend, sandbox.id, "started").cpu == 2
    pod = cluster.api.get("pods", pod_of(cluster, place, sandbox.id), place)
    assert pod["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "2", "memory": "4Gi"}
    assert ask(backend, sandbox.id, "echo $GIVEN") == "x"
    backend.stop(sandbox.id, force=True)
    reaches(backend, sandbox.id, "stopped")


def test_a_declarative_image_that_only_names_one(
    cluster: Cluster, place: str, backend: Any
) -> None:
    named = BuildInfo(dockerfile_content="FROM no/such-image:1\n")
    sandbox = backend.create(CreateSandbox(build_info=named))
    found = cluster.api.get("sandboxes", f"sandbox-{sandbox.id}", place)
    (container,) = found["spec"]["podTemplate"]["spec"]["containers"]
    assert container["image"] == "no/such-image:1"
    eventually(lambda: backend.sandbox(sandbox.id).state == "error")
    assert "no/such-image:1" in backend.sandbox(sandbox.id).error_reason
    built = BuildInfo(dockerfile_content="FROM x\nRUN true\n")
    with pytest.raises(Unsupported, match="image builder"):
        backend.create(CreateSandbox(build_info=built))


def test_a_limited_network_ends_after_the_pod(cluster: Cluster, place: str, backend: Any) -> None:
    """What runs in a pod has seconds to end, and must not reach anything in these."""
    add_template(cluster, place, "stubborn", {"terminationGracePeriodSeconds": 600})
    sandbox = made(backend, snapshot="stubborn", network_block_all=True)
    name = f"sandbox-{sandbox.id}"
    container = cluster.kubelet.pod(name, place).container
    assert container is not None
    container.kill(signal.SIGSTOP)
    backend.delete(sandbox.id)
    policy = cluster.api.get("networkpolicies", name, place)
    owners = {one["kind"] for one in policy["metadata"]["ownerReferences"]}
    assert owners == {"Sandbox", "Pod"}
    eventually(lambda: cluster.api.get("pods", name, place)["metadata"].get("deletionTimestamp"))
    assert cluster.api.find("networkpolicies", name, place)
    container.kill()
    eventually(lambda: cluster.api.find("networkpolicies", name, place) is None)
    assert cluster.api.find("pods", name, place) is None
