"""Fixtures of the file tests."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts file systems, by the arguments of the program, on a new directory or on ``on``."""
    mounted: list[Path] = []

    def do(*arguments: str, on: Path | None = None) -> Path:
        point = on or tmp_path / f"mount-{len(mounted)}"
        if on is None:
            point.mkdir()
        done = subprocess.run(["mount", *arguments, point], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"can't mount here: {done.stderr.strip()}")
        mounted.append(point)
        return point

    yield do
    for point in reversed(mounted):
        # Lazily: the service may close what it has sent a moment after the client has it all.
        subprocess.run(["umount", "--lazy", point], check=True)
