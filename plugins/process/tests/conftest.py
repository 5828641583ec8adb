"""What the tests of the group share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def pid_file(tmp_path: Path) -> Path:
    """Where a command may write a pid."""
    return tmp_path / "pid"
