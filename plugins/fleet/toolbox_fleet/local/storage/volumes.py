"""Volumes: directories of this machine that outlive sandboxes, and that several share."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterable
from pathlib import Path

import msgspec

from toolbox_fleet.errors import InUse
from toolbox_fleet.errors import InvalidValue
from toolbox_fleet.errors import NoSuchResource
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.local.layout import Layout
from toolbox_fleet.local.records import Record
from toolbox_fleet.local.running.service import Services
from toolbox_fleet.local.store import Store
from toolbox_fleet.local.store import Table
from toolbox_fleet.local.supplies import Mount
from toolbox_fleet.local.supplies import Supply
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import SandboxVolume
from toolbox_fleet.models.volumes import Volume
from toolbox_fleet.names import check_name
from toolbox_fleet.times import format_time

KIND = "volumes"

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Volumes(Supply):
    """All volumes, and those of each sandbox."""

    def __init__(
        self, store: Store, layout: Layout, services: Services, records: Table[Record]
    ) -> None:
        self._store = store
        self._layout = layout
        self._services = services
        self._records = records
        self.table = store.table("volume", Volume)

    def create(self, name: str) -> Volume:
        """Create an empty volume. Raises NameTaken, InvalidValue, OSError."""
        check_name(name)
        now = format_time()
        volume = Volume(id=str(uuid.uuid4()), name=name, created_at=now, updated_at=now)
        with self._store.transaction():
            self.table.add(volume.id, name, volume)
            place = self._layout.place(KIND, volume.id)
            # Before the row is: a client that sees the volume can use it.
            self._layout.make(place.parent)
            self._layout.make(place)
        return volume

    def delete(self, key: str) -> None:
        """Remove a volume with its files. Raises NoSuchResource, InUse, OSError."""
        volume = self._store.insist(lambda: self._forget(key))
        # After the row: killed in between, files without a row remain, never a row without files.
        self._layout.discard(self._layout.place(KIND, volume.id))

    def _forget(self, key: str) -> Volume:
        with self._store.transaction():
            volume = self.find(key)
            for record in self._records.all():
                # A sandbox that is being deleted starts no more.
                if record.sandbox.state != "destroying" and any(
                    one.volume_id == volume.id for one in record.sandbox.volumes
                ):
                    raise InUse(f"the volume is used by the sandbox {record.sandbox.name}")
            self.table.remove(volume.id)
        return volume

    def find(self, key: str) -> Volume:
        """Return a volume by id or name. Raises NoSuchResource."""
        volume = self.table.find(key)
        if volume is None:
            raise NoSuchResource(f"no volume has the id or name {key!r}")
        return volume

    def check(self, wanted: CreateSandbox, record: Record) -> Record:
        if not wanted.volumes:
            return record
        home = self._layout.sandbox(record.sandbox.id).home
        checked = [self._checked(one, home) for one in wanted.volumes]
        for one in checked:
            self.table.change(one.volume_id, _used)
        sandbox = msgspec.structs.replace(record.sandbox, volumes=checked)
        return msgspec.structs.replace(record, sandbox=sandbox)

    def _checked(self, given: SandboxVolume, home: Path) -> SandboxVolume:
        target = Path(given.mount_path)
        if not target.is_absolute() or ".." in target.parts or len(target.parts) < 2:
            raise InvalidValue("mountPath must be an absolute path without .., and not /")
        isolation = self._services.isolation
        if isolation.name != "bubblewrap" and not target.is_relative_to(home):
            # A link would appear in every sandbox, and in two with different volumes.
            raise Unsupported(
                f"a volume at {given.mount_path} takes [fleet.local] isolation = bubblewrap: "
                "these sandboxes share the files of this machine"
            )
        _parts(given.subpath)
        volume = self.find(given.volume_id)
        # The id, also if the name was given: a new volume may get an old one's name later.
        return msgspec.structs.replace(given, volume_id=volume.id, mount_path=str(target))

    def mounts(self, record: Record, held: contextlib.ExitStack) -> list[Mount]:
        return [self._mount(one, record.uid, held) for one in record.sandbox.volumes]

    def _mount(self, given: SandboxVolume, uid: int, held: contextlib.ExitStack) -> Mount:
        place, parts = self._layout.place(KIND, given.volume_id), _parts(given.subpath)
        directory = _open_below(place, parts)
        held.callback(os.close, directory)
        # It was made by root, and the sandbox's user couldn't write to it.
        self._services.isolation.own(directory, uid)
        return Mount(place.joinpath(*parts), Path(given.mount_path), directory)


def _used(volume: Volume) -> Volume:
    return msgspec.structs.replace(volume, last_used_at=format_time())


def _parts(subpath: str | None) -> list[str]:
    """Return the names in a path below a volume. Raises InvalidValue if it leads elsewhere."""
    parts = [part for part in (subpath or "").split("/") if part not in ("", ".")]
    if ".." in parts or any("\0" in part or len(os.fsencode(part)) > 255 for part in parts):
        raise InvalidValue("subpath must be a path below the volume, without ..")
    return parts


def _open_below(place: Path, parts: list[str]) -> int:
    """Open a directory below ``place``, which is made if it isn't there.

    Raises OSError if a part is a link: a sandbox could have put one there that leads out.
    """
    # Step by step from the volume itself: a path as a whole would follow links in its middle.
    directory = os.open(place, _DIRECTORY)
    try:
        for part in parts:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=directory)
            below = os.open(part, _DIRECTORY, dir_fd=directory)
            os.close(directory)
            directory = below
    except OSError as error:
        os.close(directory)
        raise OSError(f"subpath: {part[:80]!r} is not a directory of the volume") from error
    return directory


class VolumeAbility:
    """See :class:`toolbox_fleet.backend.HasVolumes`."""

    _volumes: Volumes

    def volumes(self) -> Iterable[Volume]:
        return self._volumes.table.all()

    def create_volume(self, name: str) -> Volume:
        return self._volumes.create(name)

    def delete_volume(self, volume_id: str) -> None:
        self._volumes.delete(volume_id)
