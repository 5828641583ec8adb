"""Two control planes change the same sandboxes at the same time."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from toolbox_fleet.errors import NameTaken
from toolbox_fleet.models.sandboxes import Changes
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import NetworkSettings
from toolbox_fleet.models.secrets import CreateSecret
from toolbox_fleet.models.snapshots import CreateSnapshot
from toolbox_fleet.models.warm_pools import CreateWarmPool
from toolbox_fleet.settings import FleetSettings
from toolbox_fleet.testing import eventually
from toolbox_fleet.testing import made
from toolbox_fleet.testing import reaches
from toolbox_fleet_kubernetes.backend import KubernetesFleet

from .cluster import Cluster
from .fleets import delete_all
from .fleets import settings


@pytest.fixture
def replicas(cluster: Cluster, place: str, make_backend: Callable[..., Any]) -> Iterator[list[Any]]:
    given = settings(cluster, place)
    made = [make_backend(KubernetesFleet, given, FleetSettings()) for _ in range(2)]
    yield made
    delete_all(cluster, place, made[0])


def mode(cluster: Cluster, place: str, identity: str) -> str:
    return str(cluster.api.get("sandboxes", f"sandbox-{identity}", place)["spec"]["operatingMode"])


def test_the_last_wish_counts_whichever_replica_it_comes_to(
    cluster: Cluster, place: str, replicas: list[Any]
) -> None:
    """A replica whose watch is late must not take for done what another has just undone."""
    one, other = replicas
    sandbox = made(one, name="shared")
    reaches(other, "shared", "started")
    for first, second in ((one, other), (other, one)):
        first.stop("shared", force=False)
        assert second.start("shared").desired_state == "started"
        assert mode(cluster, place, sandbox.id) == "Running"
        second.stop("shared", force=False)
        assert mode(cluster, place, sandbox.id) == "Suspended"
        first.start("shared")
        assert mode(cluster, place, sandbox.id) == "Running"
    for each in replicas:
        reaches(each, "shared", "started")


def test_a_name_is_given_once(replicas: list[Any]) -> None:
    """Whatever it is the name of."""
    wishes: list[Callable[[Any], object]] = [
        lambda one: one.create(CreateSandbox(name="wanted")),
        lambda one: one.create_volume("wanted"),
        lambda one: one.create_secret(CreateSecret(name="wanted", value="v")),
        lambda one: one.create_snapshot(CreateSnapshot(name="wanted", image_name="toolbox")),
    ]
    for wish in wishes:
        assert one_of_many(replicas, wish) == 1
    # Its pool is there once, too.
    wanted = CreateWarmPool(snapshot="wanted", pool=1)
    assert one_of_many(replicas, lambda one: one.create_warm_pool(wanted)) == 1
    one = replicas[0]
    one.delete_snapshot("wanted")
    one.delete_volume(next(iter(one.volumes())).id)
    one.delete_secret(next(iter(one.secrets())).id)


def one_of_many(replicas: list[Any], wish: Callable[[Any], object]) -> int:
    """Return how many of eight wishes at the same time are granted; the others are NameTaken."""

    def ask_for(number: int) -> int:
        try:
            wish(replicas[number % 2])
        except NameTaken:
            return 0
        return 1

    with ThreadPoolExecutor(8) as threads:
        return sum(threads.map(ask_for, range(8)))


def test_no_change_is_lost_or_refused_for_another(
    cluster: Cluster, place: str, replicas: list[Any]
) -> None:
    sandbox = replicas[0].create(CreateSandbox(name="busy"))

    def change(number: int) -> None:
        where = replicas[number % 2]
        match number:
            case 0:
                where.change("busy", Changes(labels={"a": "b"}))
            case 1:
                where.change("busy", Changes(public=True))
            case 2:
                where.set_secrets("busy", [])
            case _:
                where.change("busy", Changes(auto_stop_interval=number))

    with ThreadPoolExecutor(32) as threads:
        list(threads.map(change, range(32)))
    for each in replicas:
        eventually(lambda each=each: each.sandbox("busy").labels == {"a": "b"})
        eventually(lambda each=each: each.sandbox("busy").public)

    def limit(number: int) -> None:
        wanted = NetworkSettings(network_allow_list=f"10.{number}.0.0/16")
        replicas[number % 2].set_network("busy", wanted)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(limit, range(8)))
    policy = cluster.api.get("networkpolicies", f"sandbox-{sandbox.id}", place)
    (rule,) = policy["spec"]["egress"]
    allowed = rule["to"][0]["ipBlock"]["cidr"]
    for each in replicas:
        eventually(lambda each=each: each.sandbox("busy").network_allow_list == allowed)
