"""The backend ``local`` with a user for each sandbox keeps the contract; see ``test_users.py``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from toolbox_fleet.contract import FleetContract
from toolbox_fleet.local.backend import LocalFleet
from toolbox_fleet.local.settings import LocalSettings
from toolbox_fleet.settings import FleetSettings


class TestUsers(FleetContract):
    # They are about records alone, whoever a sandbox runs as: test_contract.py has them.
    test_change = test_names_are_taken_once = test_one_of_many_gets_a_name = None
    test_the_signing_key_stays = test_rotate_signing_key = None

    @pytest.fixture
    def backend(self, directory: Path, make_backend: Callable[..., Any]) -> Any:
        settings = LocalSettings(
            data=str(directory / "data"),
            isolation="user",
            user="61100-61199",
            on_stop="stop",
            stop_timeout=2,
        )
        return make_backend(LocalFleet, settings, group_settings=FleetSettings())

    @pytest.fixture
    def directory(self) -> Iterator[Path]:
        # Not that of pytest, which no other user may enter.
        with tempfile.TemporaryDirectory(prefix="toolbox-users-") as name:
            Path(name).chmod(0o711)
            yield Path(name)
