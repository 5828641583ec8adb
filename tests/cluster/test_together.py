"""A hundred sandboxes at once, of which a warm pool has twenty ready."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.settings import FleetSettings
from toolbox_fleet_kubernetes.backend import KubernetesFleet

from .api import wait_for
from .cluster import Cluster
from .fleets import LEAST
from .fleets import add_pool
from .fleets import add_template
from .fleets import ask
from .fleets import left
from .fleets import settings

TOGETHER, READY = 100, 20
PATIENCE = 600
"""Seconds: eighty of them have to start, on a machine that may have two processors."""


@pytest.mark.timeout(2 * PATIENCE)
def test_each_gets_one_of_its_own_and_none_is_left(
    cluster: Cluster, namespace: str, make_backend: Callable[..., Any]
) -> None:
    add_template(cluster, namespace, "warm", env=LEAST)
    add_pool(cluster, namespace, READY, "warm")
    given = settings(cluster, namespace, start_timeout=PATIENCE)
    backend = make_backend(KubernetesFleet, given, FleetSettings())

    def create(number: int) -> Sandbox:
        env, labels = {"N": str(number)}, {"n": str(number)}
        return backend.create(CreateSandbox(snapshot="warm", env=env, labels=labels))

    with ThreadPoolExecutor(TOGETHER) as threads:
        made = list(threads.map(create, range(TOGETHER)))
        assert len({one.id for one in made}) == TOGETHER
        wait_for(lambda: _are_started(backend), "the start of all", cluster.log, PATIENCE)
        for number, one in enumerate(made):
            assert backend.sandbox(one.id).labels["n"] == str(number)
            assert ask(backend, one.id, "echo $N") == str(number)
        pods = _claimed(cluster, namespace)
        assert len(pods) == TOGETHER
        assert len(cluster.api.list("sandboxclaims", namespace)) == TOGETHER
        list(threads.map(lambda one: backend.delete(one.id), made))
    wait_for(lambda: not list(backend.sandboxes()), "the end of the sandboxes", cluster.log)
    wait_for(lambda: not left(cluster, namespace), "the end of their objects", cluster.log)
    wait_for(lambda: not pods & _there(cluster, namespace), "the end of their pods", cluster.log)


def _are_started(backend: Any) -> bool:
    states = [one.state for one in backend.sandboxes()]
    assert "error" not in states, [one.error_reason for one in backend.sandboxes()]
    return states == ["started"] * TOGETHER


def _claimed(cluster: Cluster, place: str) -> set[str]:
    """Return the names of the pods that claims have."""
    claimed = cluster.api.list("sandboxclaims", place)
    names = {((one.get("status") or {}).get("sandbox") or {}).get("name") for one in claimed}
    return names & _there(cluster, place)


def _there(cluster: Cluster, place: str) -> set[str]:
    return {one["metadata"]["name"] for one in cluster.api.list("pods", place)}
