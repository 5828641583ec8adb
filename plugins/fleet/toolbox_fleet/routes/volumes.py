"""Volumes: list, create and delete."""

from __future__ import annotations

import msgspec

from toolbox.group import Operations
from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.backend import HasVolumes
from toolbox_fleet.errors import InUse
from toolbox_fleet.errors import InvalidValue
from toolbox_fleet.errors import NameTaken
from toolbox_fleet.errors import NoSuchResource
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.models.volumes import CreateVolume
from toolbox_fleet.models.volumes import Volume
from toolbox_fleet.names import check_name
from toolbox_fleet.routes.abilities import able

operations = Operations()


class VolumesQuery(msgspec.Struct, frozen=True, rename="camel"):
    """The wish for deleted volumes, too. There are none: a deleted volume is gone."""

    include_deleted: bool = False


@operations.get("/api/volumes", errors=(Unsupported,))
def list_volumes(backend: FleetBackend, query: VolumesQuery) -> list[Volume]:
    """List volumes by name."""
    return sorted(able(backend, HasVolumes).volumes(), key=lambda volume: volume.name)


@operations.post("/api/volumes", errors=(InvalidValue, NameTaken, Unsupported))
def create_volume(backend: FleetBackend, body: CreateVolume) -> Volume:
    """Create an empty volume."""
    return able(backend, HasVolumes).create_volume(check_name(body.name))


@operations.get("/api/volumes/by-name/{name}", errors=(NoSuchResource, Unsupported))
def get_volume_by_name(backend: FleetBackend, name: str) -> Volume:
    """Return a volume by its name."""
    return _found(backend, "name", name)


@operations.get("/api/volumes/{volume_id}", errors=(NoSuchResource, Unsupported))
def get_volume(backend: FleetBackend, volume_id: str) -> Volume:
    """Return a volume by its id."""
    return _found(backend, "id", volume_id)


@operations.delete("/api/volumes/{volume_id}", errors=(InUse, NoSuchResource, Unsupported))
def delete_volume(backend: FleetBackend, volume_id: str) -> None:
    """Delete a volume with its files."""
    able(backend, HasVolumes).delete_volume(volume_id)


def _found(backend: FleetBackend, field: str, value: str) -> Volume:
    # A look at all of them: there are few, and a backend needs one method less.
    for volume in able(backend, HasVolumes).volumes():
        if getattr(volume, field) == value:
            return volume
    raise NoSuchResource(f"no volume has this {field}")
