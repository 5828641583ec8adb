"""Control planes are killed in the middle of each call that writes more than once, after each of
its writes: another one finds all of it or nothing, and nothing is left.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import httpx
import pytest
from toolbox_fleet.errors import NoSuchSandbox
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.settings import FleetSettings
from toolbox_fleet.testing import eventually
from toolbox_fleet.testing import is_gone
from toolbox_fleet.testing import made
from toolbox_fleet.testing import reaches
from toolbox_fleet_kubernetes import janitor
from toolbox_fleet_kubernetes.backend import KubernetesFleet

from toolbox.auth.signing import sign
from toolbox.testing import DEADLINE

from .cluster import Cluster
from .fleets import ask
from .fleets import delete_all
from .fleets import left
from .fleets import pod_of
from .fleets import settings
from .mortal import Mortals

POOL = 1


@pytest.fixture(scope="module")
def mortals(cluster: Cluster, place: str) -> Iterator[Mortals]:
    started = Mortals(cluster.kubeconfig, place)
    yield started
    started.end()


@pytest.fixture
def survivor(
    cluster: Cluster,
    place: str,
    make_backend: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Any]:
    """Another control plane, which looks after what is left more often than usual."""
    monkeypatch.setattr(janitor, "BETWEEN", 0.5)
    made = make_backend(KubernetesFleet, settings(cluster, place), FleetSettings())
    yield made
    delete_all(cluster, place, made)


@pytest.mark.parametrize("call", ["create", "create warm"])
def test_creations_and_deletions(
    cluster: Cluster,
    place: str,
    mortals: Mortals,
    survivor: Any,
    call: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deletions = itertools.count(1)
    for number in itertools.count(1):
        name = f"{call} {number}"
        killed = mortals.live(call, name, number)
        with monkeypatch.context() as now:
            # Whoever was creating it is dead: a Secret without a sandbox need wait for nobody.
            now.setattr(janitor, "CREATING", 0.0)
            eventually(partial(is_whole, cluster, place, survivor, name), f"all or none, {name}")
            if not is_gone(survivor, name):
                assert ask(survivor, name, "echo $GIVEN") == name
                if call == "create":
                    assert allowed(cluster, place, survivor.sandbox(name)) == "10.0.0.0/8"
                mortals.live("delete", name, next(deletions))
                if primaries(cluster, place):  # Else its deletion has begun, and goes on.
                    survivor.delete(name)
            eventually(lambda: not objects(cluster, place), f"the end of {name}")
        if not killed:
            break
    # The fourth, after which it is started, may be that of another one.
    assert number > 3, "it writes three times at least"


def is_whole(cluster: Cluster, place: str, survivor: Any, name: str) -> bool:
    """Report whether a sandbox is started, or nothing of it is there."""
    with suppress(NoSuchSandbox):
        sandbox = survivor.sandbox(name)
        assert sandbox.state != "error", sandbox.error_reason
        return bool(sandbox.state == "started")
    return not objects(cluster, place)


def objects(cluster: Cluster, place: str) -> list[str]:
    """Return the objects of sandboxes, of all kinds."""
    return left(cluster, place) + primaries(cluster, place)


def primaries(cluster: Cluster, place: str) -> list[str]:
    """Return the claims and Sandboxes of sandboxes, without those that wait in a pool."""
    kinds = ("sandboxclaims", "sandboxes")
    found = [one["metadata"]["name"] for kind in kinds for one in cluster.api.list(kind, place)]
    return [name for name in found if name.startswith("sandbox-")]


def allowed(cluster: Cluster, place: str, sandbox: Sandbox) -> str:
    """Return the network that the policy of a sandbox lets it reach, empty if it has none."""
    policy = cluster.api.find("networkpolicies", f"sandbox-{sandbox.id}", place)
    return str(policy["spec"]["egress"][0]["to"][0]["ipBlock"]["cidr"]) if policy else ""


def test_changes(cluster: Cluster, place: str, mortals: Mortals, survivor: Any) -> None:
    sandbox = made(survivor, name="changed", snapshot="warm", env={"GIVEN": "x"})
    for number in itertools.count(1):
        calls = ("limit", "rotate", "stop", "resize", "start")
        killed = []
        for call in calls:
            killed.append(mortals.live(call, "changed", number))
            AFTER[call](cluster, place, survivor, sandbox.id, number)
        if not any(killed):
            break
    assert number > 2


def is_limited(cluster: Cluster, place: str, survivor: Any, key: str, number: int) -> None:
    wanted = f"10.{number}.0.0/16"
    eventually(lambda: survivor.sandbox(key).network_allow_list == wanted, "the record")
    eventually(lambda: allowed(cluster, place, survivor.sandbox(key)) == wanted, "the policy")


def is_signed(cluster: Cluster, place: str, survivor: Any, key: str, number: int) -> None:
    eventually(lambda: status_of_signed(survivor, key) == 200, "the key")


def status_of_signed(survivor: Any, key: str) -> int:
    """Return the status of a sandbox's response to a URL with the signature of now."""
    upstream, path = survivor.upstream(key), "/etc/hostname"
    signature = sign(survivor.signing_key(key), "files", "GET", path, 0)
    url = f"http://{upstream.host}:{upstream.port}/files/download"
    query = {"path": path, "expires": "0", "signature": signature}
    return httpx.get(url, params=query, timeout=DEADLINE).status_code


def is_stopped(cluster: Cluster, place: str, survivor: Any, key: str, number: int) -> None:
    reaches(survivor, key, "stopped")


def is_resized(cluster: Cluster, place: str, survivor: Any, key: str, number: int) -> None:
    eventually(lambda: survivor.sandbox(key).cpu == 1 + number, "the size")


def is_started(cluster: Cluster, place: str, survivor: Any, key: str, number: int) -> None:
    reaches(survivor, key, "started")
    assert ask(survivor, key, "echo $GIVEN") == "x"
    pod = cluster.api.get("pods", pod_of(cluster, place, key), place)
    assert pod["spec"]["containers"][0]["resources"]["limits"]["cpu"] == str(1 + number)
    is_signed(cluster, place, survivor, key, number)


AFTER = {
    "limit": is_limited,
    "rotate": is_signed,
    "stop": is_stopped,
    "resize": is_resized,
    "start": is_started,
}
"""Checks that another control plane sees the whole of a change."""
