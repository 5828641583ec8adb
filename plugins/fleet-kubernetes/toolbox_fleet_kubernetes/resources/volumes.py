"""Volumes: PersistentVolumeClaims, which several sandboxes mount, whole or in parts."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Literal

import msgspec
from toolbox_fleet.errors import InUse
from toolbox_fleet.errors import NameTaken
from toolbox_fleet.errors import NoSuchResource
from toolbox_fleet.models.sandboxes import SandboxVolume
from toolbox_fleet.models.volumes import Volume
from toolbox_fleet.names import check_name

from toolbox_fleet_kubernetes.cache.cluster import Cluster
from toolbox_fleet_kubernetes.cache.feeds import Feeds
from toolbox_fleet_kubernetes.client.connection import Connection
from toolbox_fleet_kubernetes.client.errors import AlreadyThere
from toolbox_fleet_kubernetes.client.kinds import VOLUME_CLAIM
from toolbox_fleet_kubernetes.client.kinds import VolumeClaim
from toolbox_fleet_kubernetes.objects import manifests
from toolbox_fleet_kubernetes.objects.names import ID
from toolbox_fleet_kubernetes.objects.names import OWNER
from toolbox_fleet_kubernetes.objects.names import RECORD
from toolbox_fleet_kubernetes.resources.snapshots import created_at
from toolbox_fleet_kubernetes.settings import KubernetesSettings


class Volumes:
    """Makes and removes claims for storage. *Any thread.*"""

    def __init__(
        self, settings: KubernetesSettings, connection: Connection, cluster: Cluster
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._cluster = cluster

    def _claims(self) -> list[VolumeClaim]:
        # Asked for each time: volumes are few, and rarely used.
        selector = f"{OWNER}={self._settings.owner}"
        return self._connection.listed(VOLUME_CLAIM, selector)[0]

    def all(self) -> list[Volume]:
        """Return all volumes."""
        return [_volume(one) for one in self._claims()]

    def create(self, name: str) -> Volume:
        """Make a volume. Raises NameTaken, InvalidValue, NoCapacity."""
        check_name(name)
        settings = self._settings
        manifest = manifests.volume(
            name,
            str(uuid.uuid4()),
            settings.owner,
            settings.volume_access,
            settings.volume_size,
            settings.storage_class,
        )
        try:
            return _volume(self._connection.create(VOLUME_CLAIM, manifest))
        except AlreadyThere:
            raise NameTaken(f"the name {name!r} is taken") from None

    def delete(self, identity: str) -> None:
        """Remove a volume. Raises NoSuchResource, InUse."""
        claim = _find(self._claims(), identity)
        users = [
            view.name
            for view in self._cluster.views()
            if any(one.volume_id == _volume(claim).id for one in view.volumes)
        ]
        if users:
            raise InUse(f"the volume is used by {len(users)} sandboxes, such as {users[0]!r}")
        self._connection.delete(VOLUME_CLAIM, claim.metadata.name, claim.metadata.uid)

    def resolve(self, wanted: list[SandboxVolume]) -> tuple[list[SandboxVolume], dict[str, str]]:
        """Return volumes by their ids, and the claim of each. Raises NoSuchResource."""
        claims = self._claims() if wanted else []
        names: dict[str, str] = {}
        found = []
        for one in wanted:
            claim = _find(claims, one.volume_id)
            identity = _volume(claim).id
            names[identity] = claim.metadata.name
            # The id, also if the name was given: a new volume may get an old one's name later.
            found.append(msgspec.structs.replace(one, volume_id=identity))
        return found, names


def _find(claims: list[VolumeClaim], key: str) -> VolumeClaim:
    for one in claims:
        if key in (one.metadata.labels.get(ID), one.metadata.annotations.get(RECORD)):
            return one
    raise NoSuchResource(f"no volume has the id or name {key!r}")


def _volume(claim: VolumeClaim) -> Volume:
    metadata = claim.metadata
    is_lost = claim.status.phase == "Lost"
    # A claim that is pending may wait for its first pod, so it can be used.
    state: Literal["deleting", "error", "ready"] = "error" if is_lost else "ready"
    created = created_at(metadata)
    return Volume(
        id=metadata.labels.get(ID, metadata.uid),
        name=metadata.annotations.get(RECORD, metadata.name),
        state="deleting" if metadata.deletion_timestamp else state,
        created_at=created,
        updated_at=created,
        error_reason="the storage of the volume is lost" if is_lost else None,
    )


class VolumeAbility:
    """See :class:`toolbox_fleet.backend.HasVolumes`."""

    _feeds: Feeds
    _volumes: Volumes

    def volumes(self) -> Iterable[Volume]:
        return self._volumes.all()

    def create_volume(self, name: str) -> Volume:
        return self._volumes.create(name)

    def delete_volume(self, volume_id: str) -> None:
        self._feeds.wait()
        self._volumes.delete(volume_id)
