"""Tests on a cluster: a real API server, etcd and controllers, and pods that are real services.

There is no container engine: a stand-in for scheduler, kubelet and garbage collector runs each pod
as a process. ``fixtures`` has ``cluster`` and ``namespace``, for tests elsewhere, too.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
from toolbox_fleet.settings import FleetSettings
from toolbox_fleet_kubernetes.backend import KubernetesFleet

from .cluster import Cluster
from .fixtures import cluster
from .fixtures import namespace
from .fleets import add_pool
from .fleets import add_template
from .fleets import delete_all
from .fleets import settings

__all__ = ["cluster", "namespace"]


@pytest.fixture(scope="module")
def place(cluster: Cluster, namespace: str, request: pytest.FixtureRequest) -> str:
    """A namespace with a template; if the module has a ``POOL``, then also with the template
    ``warm``, and so many sandboxes of that in a pool.
    """
    add_template(cluster, namespace)
    if size := getattr(request.module, "POOL", 0):
        add_template(cluster, namespace, "warm")
        add_pool(cluster, namespace, size, "warm")
    return namespace


@pytest.fixture
def replica(cluster: Cluster, place: str, make_backend: Callable[..., Any]) -> Any:
    """A control plane for the same sandboxes as that of ``backend``."""
    return make_backend(KubernetesFleet, settings(cluster, place), FleetSettings())


@pytest.fixture
def backend(cluster: Cluster, place: str, make_backend: Callable[..., Any]) -> Iterator[Any]:
    """A control plane, whose sandboxes are deleted in the end."""
    made = make_backend(KubernetesFleet, settings(cluster, place), FleetSettings())
    yield made
    delete_all(cluster, place, made)
