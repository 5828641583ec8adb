"""The backend ``kubernetes`` keeps the contract of fleets, on a real API server."""

from __future__ import annotations

from toolbox_fleet.contract import FleetContract


class TestKubernetes(FleetContract):
    # Abilities that a cluster doesn't have: the contract would skip them.
    test_pause = test_fork = None
