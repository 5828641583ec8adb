"""The backend ``kubernetes`` keeps the contract of fleets, on a real API server."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.contract import FleetContract
from toolbox_fleet.settings import FleetSettings
from toolbox_fleet_kubernetes.backend import KubernetesFleet

from .cluster import Cluster
from .fleets import add_template
from .fleets import delete_all
from .fleets import settings


@pytest.fixture(scope="module")
def ready_namespace(cluster: Cluster, namespace: str) -> str:
    add_template(cluster, namespace)
    return namespace


class TestKubernetes(FleetContract):
    # Abilities that a cluster doesn't have: the contract would skip them.
    test_pause = test_fork = None

    @pytest.fixture
    def backend(
        self, cluster: Cluster, ready_namespace: str, make_backend: Callable[..., Any]
    ) -> Iterator[FleetBackend]:
        made = make_backend(KubernetesFleet, settings(cluster, ready_namespace), FleetSettings())
        yield made
        delete_all(cluster, ready_namespace, made)
