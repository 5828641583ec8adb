"""What sandboxes in bubblewrap see of hidden directories."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from toolbox_fleet.local.running import view


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A hidden directory in which ``python -m`` was called, with a module in use below."""
    used = tmp_path / "project" / "modules"
    used.mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(used), *sys.path])
    view._code.cache_clear()
    yield tmp_path
    view._code.cache_clear()


def test_a_home_on_the_path_of_modules_is_not_shown(home: Path) -> None:
    shown = list(view.needed([home]))
    assert home not in shown
    assert home / "project" / "modules" in shown
