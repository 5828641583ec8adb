"""The contract of the group, for the backend ``single``; ``local/`` has the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.contract import SandboxContract
from toolbox_fleet.settings import FleetSettings
from toolbox_fleet.single.backend import SingleFleet
from toolbox_fleet.single.settings import SingleSettings


class TestSingle(SandboxContract):
    @pytest.fixture
    def backend(self, make_backend: Callable[..., Any]) -> FleetBackend:
        made: FleetBackend = make_backend(SingleFleet, SingleSettings(), FleetSettings())
        return made
