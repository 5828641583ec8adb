"""A disk without space: nothing new is made, what is there can be stopped and deleted."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from toolbox_fleet.local.backend import LocalFleet
from toolbox_fleet.local.settings import LocalSettings
from toolbox_fleet.settings import FleetSettings
from toolbox_fleet.testing import eventually
from toolbox_fleet.testing import is_gone
from toolbox_fleet.testing import made
from toolbox_fleet.testing import reaches
from toolbox_fleet.testing import stopped

from toolbox.errors import InsufficientStorage

Backends = Callable[..., Any]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of sixteen megabytes."""
    where = tmp_path / "disk"
    where.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(where)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a file system can't be mounted; as root it can")
    yield where
    subprocess.run(["umount", "--lazy", str(where)], check=True)


def test_sandboxes_are_stopped_and_deleted(disk: Path, make_backend: Backends) -> None:
    backend = started(disk, make_backend)
    running, asleep = made(backend), stopped(backend)
    volume = backend.create_volume("kept")
    fill(disk)
    with pytest.raises(InsufficientStorage, match="no space is left"):
        # The log of changes may have some space left.
        for number in range(1000):
            backend.create_volume(f"volume-{number}")
    backend.stop(running.id, force=False)
    reaches(backend, running.id, "stopped")
    backend.delete_volume(volume.id)
    for sandbox in (running, asleep):
        # What they have is little, and is taken at once.
        fill(disk)
        backend.delete(sandbox.id)
        eventually(lambda key=sandbox.id: is_gone(backend, key), "the deletion")
    assert not list(backend.sandboxes())
    assert not list((disk / "data" / "sandboxes").iterdir())


def test_the_service_starts(disk: Path, make_backend: Backends) -> None:
    backend = started(disk, make_backend)
    sandbox = stopped(backend)
    backend.close()
    fill(disk)
    backend = started(disk, make_backend)
    assert [one.id for one in backend.sandboxes()] == [sandbox.id]
    backend.delete(sandbox.id)
    eventually(lambda: is_gone(backend, sandbox.id), "the deletion")


def test_the_space_is_kept_again(disk: Path, make_backend: Backends) -> None:
    backend = started(disk, make_backend)
    kept = disk / "data" / "reserve"
    volumes = [backend.create_volume(f"volume-{number}") for number in range(100)]
    whole = kept.stat().st_blocks
    assert whole
    fill(disk)
    for volume in volumes:
        backend.delete_volume(volume.id)
    assert kept.stat().st_blocks
    for path in disk.glob("filler-*"):
        path.unlink()
    backend.create_volume("another")
    assert kept.stat().st_blocks == whole


def started(disk: Path, make_backend: Backends) -> Any:
    settings = LocalSettings(data=str(disk / "data"), isolation="none", on_stop="stop")
    return make_backend(LocalFleet, settings, FleetSettings())


def fill(disk: Path) -> None:
    """Take all the space that is left."""
    name = f"filler-{len(list(disk.iterdir()))}"
    with (disk / name).open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(64 * 1024))
