"""What the tests of the group share."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toolbox.testing import Service

LAUNCHER = os.environ.get("TOOLBOX_TEST_LAUNCHER", "plain")
"""The launcher that most tests of the group use: to run them all against another one."""


@pytest.fixture
def pid_file(tmp_path: Path) -> Path:
    """Where a command may write a pid."""
    return tmp_path / "pid"


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """As the core's, but it waits less than others for what won't end by itself."""
    directory = Path(tempfile.mkdtemp(prefix="toolbox-test-"))
    settings = f'[process.local]\ngrace = 0.5\nlauncher = "{LAUNCHER}"\n'
    running = Service(directory, settings=settings)
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def make_service(make_service: Callable[..., Service]) -> Callable[..., Service]:
    """As the core's, but with this group alone, unless the settings name others: each start then
    takes a third less.
    """

    def make(*arguments: str, settings: str = "", **options: Any) -> Service:
        if "[plugins]" not in settings:
            settings += '\n[plugins]\nenable = ["process"]\n'
        return make_service(*arguments, settings=settings, **options)

    return make
