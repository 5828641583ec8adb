"""Volumes and what sandboxes put in their way."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from toolbox_fleet.local.backend import LocalFleet
from toolbox_fleet.local.places import link_inside
from toolbox_fleet.local.records import Record
from toolbox_fleet.local.settings import LocalSettings
from toolbox_fleet.local.supplies import Mount
from toolbox_fleet.local.supplies import Supply
from toolbox_fleet.models.sandboxes import SandboxVolume
from toolbox_fleet.settings import FleetSettings
from toolbox_fleet.testing import eventually
from toolbox_fleet.testing import is_gone
from toolbox_fleet.testing import made

from toolbox.testing import DEADLINE

from .conftest import marked


class Swap(Supply):
    """A program in another sandbox, just when a mount was looked at and isn't made yet."""

    def __init__(self, directory: Path, leads_to: Path) -> None:
        self._directory = directory
        self._leads_to = leads_to

    def mounts(self, record: Record, held: ExitStack) -> list[Mount]:
        self._directory.rename(self._directory.with_name("moved"))
        self._directory.symlink_to(self._leads_to)
        return []


def test_a_link_put_there_after_the_look_is_not_followed(
    make_backend: Callable[..., Any], tmp_path: Path
) -> None:
    data, outside = tmp_path / "data", tmp_path / "outside"
    settings = LocalSettings(data=str(data), isolation="bubblewrap", on_stop="stop")
    backend = make_backend(LocalFleet, settings, FleetSettings())
    volume = backend.create_volume("shared")
    inside = data / "volumes" / volume.id / "part"
    for directory in (inside, outside):
        directory.mkdir()
        (directory / "file").write_text(directory.name)
    # After the volumes, which come before it in the list.
    backend._services.supplies.append(Swap(inside, outside))
    wanted = SandboxVolume(volume_id=volume.id, mount_path="/data", subpath="part")
    sandbox = made(backend, volumes=[wanted])
    assert inside.is_symlink()
    assert _run(backend, sandbox.id, "cat /data/file") == "part"
    # Nor is there another way: a descriptor would lead to what is above, on this machine.
    pids = [pid for pid in marked(sandbox.id) if _namespace(pid) != _namespace(os.getpid())]
    assert pids and not [path for pid in pids for path in _open(pid) if str(inside.parent) in path]
    backend.delete(sandbox.id)
    eventually(lambda: is_gone(backend, sandbox.id), "the deletion")


def _run(backend: Any, sandbox_id: str, command: str) -> str:
    upstream = backend.upstream(sandbox_id)
    response = httpx.post(
        f"http://{upstream.host}:{upstream.port}/process/execute",
        headers={"Authorization": f"Bearer {upstream.token}"},
        json={"command": command},
        timeout=DEADLINE,
    )
    return str(response.raise_for_status().json()["result"])


def _namespace(pid: int) -> str:
    return os.readlink(f"/proc/{pid}/ns/pid")


def _open(pid: int) -> list[str]:
    return [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]


def test_a_link_of_a_volume_is_made_where_nothing_leads_away(tmp_path: Path) -> None:
    tree, machine = tmp_path / "tree", tmp_path / "machine"
    machine.mkdir()
    tree.mkdir()
    (machine / "kept").symlink_to("/etc")
    (tree / "away").symlink_to(machine)
    with pytest.raises(OSError, match="/away/kept"):
        link_inside(tree, Path("/away/kept"), tmp_path)
    assert (machine / "kept").readlink() == Path("/etc")
    for target in (machine, tmp_path):
        link_inside(tree, Path("/a/b/link"), target)
        assert (tree / "a/b/link").readlink() == target
