"""A service that counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from toolbox.testing import Service


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory: Path = tmp_path_factory.mktemp("service")
    running = Service(directory, settings="[metrics]\nenabled = true\n")
    yield running
    running.stop()
