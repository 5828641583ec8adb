"""The backend ``local`` keeps the contract of fleets, in a process of the tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toolbox_fleet.contract import FleetContract
from toolbox_fleet.local.backend import LocalFleet
from toolbox_fleet.local.settings import LocalSettings
from toolbox_fleet.settings import FleetSettings


class TestLocal(FleetContract):
    @pytest.fixture
    def backend(self, make_backend: Callable[..., Any], tmp_path: Path) -> Any:
        settings = LocalSettings(data=str(tmp_path / "data"), on_stop="stop", stop_timeout=2)
        return make_backend(LocalFleet, settings, group_settings=FleetSettings())
