"""Snapshots: templates of sandboxes, each with an image."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from datetime import datetime

from toolbox_fleet.errors import InvalidValue
from toolbox_fleet.errors import NameTaken
from toolbox_fleet.errors import NoSuchResource
from toolbox_fleet.errors import Refused
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.models.sandboxes import BuildInfo
from toolbox_fleet.models.sandboxes import NewSnapshot
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.models.snapshots import CreateSnapshot
from toolbox_fleet.models.snapshots import Snapshot
from toolbox_fleet.names import check_name
from toolbox_fleet.times import format_time

from toolbox_fleet_kubernetes.cache.feeds import Feeds
from toolbox_fleet_kubernetes.client.connection import Connection
from toolbox_fleet_kubernetes.client.errors import AlreadyThere
from toolbox_fleet_kubernetes.client.errors import NotThere
from toolbox_fleet_kubernetes.client.kinds import TEMPLATE
from toolbox_fleet_kubernetes.client.kinds import WARM_POOL
from toolbox_fleet_kubernetes.client.kinds import Template
from toolbox_fleet_kubernetes.client.parts import Meta
from toolbox_fleet_kubernetes.lifecycle import Lifecycle
from toolbox_fleet_kubernetes.objects import blueprints
from toolbox_fleet_kubernetes.objects import manifests
from toolbox_fleet_kubernetes.objects.names import OWNER
from toolbox_fleet_kubernetes.resources.templates import Templates

NO_FILES = (
    "a pod's files can't be taken: push an image with them, and make a snapshot of that; or keep"
    " them on a volume"
)

BUILDS = "this backend has no image builder: of a Dockerfile, only one line FROM is possible"


class Snapshots:
    """Makes and removes templates. *Any thread.*"""

    def __init__(
        self, owner: str, connection: Connection, feeds: Feeds, templates: Templates
    ) -> None:
        self._owner = owner
        self._connection = connection
        self._feeds = feeds
        self._templates = templates

    def all(self) -> list[Snapshot]:
        """Return all snapshots: templates that others have applied, too."""
        return [_snapshot(one) for one in self._templates.all()]

    def find(self, key: str) -> Snapshot:
        """Return a snapshot by id or name. Raises NoSuchResource."""
        if self._templates.is_default(key):
            return _snapshot(self._templates.of(key))
        return _snapshot(self._templates.find(key))

    def create(self, wanted: CreateSnapshot) -> Snapshot:
        """Make a snapshot of an image: the default template with that.

        Raises NameTaken, InvalidValue, NoSuchResource, Unsupported.
        """
        check_name(wanted.name)
        image = _image(wanted)
        if wanted.entrypoint:
            raise Unsupported("the container runs the service: start programs by commands")
        if wanted.gpu:
            raise Unsupported("for a GPU, apply a SandboxTemplate that requests one")
        self._check_free(wanted.name)
        spec = blueprints.of_image(self._templates.of(None).spec, image)
        spec = blueprints.with_sizes(spec, (wanted.cpu, wanted.memory, wanted.disk))
        manifest = manifests.template(wanted.name, str(uuid.uuid4()), self._owner, spec)
        try:
            template = self._connection.create(TEMPLATE, manifest)
        except AlreadyThere:
            raise NameTaken(f"the name {wanted.name!r} is taken") from None
        self._feeds.templates.put(template)
        return _snapshot(template)

    def _check_free(self, name: str) -> None:
        taken = self._templates.is_default(name)
        try:
            taken = taken or bool(self._templates.find(name))
        except NoSuchResource:
            pass
        if taken:
            raise NameTaken(f"the name {name!r} is taken")

    def delete(self, key: str) -> None:
        """Remove a snapshot and its warm pools. Raises NoSuchResource, Refused."""
        template = self._templates.find(key)
        if template.metadata.labels.get(OWNER) != self._owner:
            raise Refused("this snapshot is a SandboxTemplate that others have applied")
        for pool in self._templates.pools(template):
            # A pool without a template would report errors for ever.
            if pool.metadata.labels.get(OWNER) == self._owner:
                self._connection.delete(WARM_POOL, pool.metadata.name, pool.metadata.uid)
                self._feeds.pools.remove(pool)
        try:
            self._connection.delete(TEMPLATE, template.metadata.name, template.metadata.uid)
        except NotThere:
            pass
        self._feeds.templates.remove(template)


def _image(wanted: CreateSnapshot) -> str:
    if wanted.build_info is not None:
        return build_image(wanted.build_info)
    if not wanted.image_name:
        raise InvalidValue("imageName is missing")
    return wanted.image_name


def build_image(wanted: BuildInfo) -> str:
    """Return the image that a declarative build is, if it only names one. Raises Unsupported."""
    found = blueprints.image(wanted.dockerfile_content)
    if found is None or wanted.context_hashes:
        raise Unsupported(BUILDS)
    return found


def _snapshot(template: Template) -> Snapshot:
    cpu, memory, disk = blueprints.sizes(template.spec)
    created = created_at(template.metadata)
    return Snapshot(
        id=blueprints.snapshot_id(template),
        name=blueprints.snapshot_name(template),
        image_name=blueprints.container(template.spec).get("image"),
        cpu=cpu,
        mem=memory,
        disk=disk,
        created_at=created,
        updated_at=created,
    )


def created_at(metadata: Meta) -> str:
    """Return the time of an object's creation, as our own are written."""
    text = metadata.creation_timestamp
    return format_time(datetime.fromisoformat(text).timestamp() if text else time.time())


class SnapshotAbility:
    """See :class:`toolbox_fleet.backend.HasSnapshots`."""

    _feeds: Feeds
    _lifecycle: Lifecycle
    _snapshots: Snapshots

    def snapshots(self) -> Iterable[Snapshot]:
        self._feeds.wait()
        return self._snapshots.all()

    def snapshot(self, key: str) -> Snapshot:
        self._feeds.wait()
        return self._snapshots.find(key)

    def create_snapshot(self, wanted: CreateSnapshot) -> Snapshot:
        self._feeds.wait()
        return self._snapshots.create(wanted)

    def delete_snapshot(self, key: str) -> None:
        self._feeds.wait()
        self._snapshots.delete(key)

    def take_snapshot(self, key: str, wanted: NewSnapshot) -> Sandbox:
        self._feeds.wait()
        self._lifecycle.entry(key)
        raise Unsupported(NO_FILES)
