"""Creating the objects of a sandbox: all of them, or none."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import msgspec
from toolbox_fleet.errors import NameTaken
from toolbox_fleet.models.sandboxes import CreateSandbox

from toolbox.errors import ToolboxError
from toolbox.errors import Unavailable
from toolbox_fleet_kubernetes.cache.cluster import Cluster
from toolbox_fleet_kubernetes.cache.feeds import Feeds
from toolbox_fleet_kubernetes.client.connection import Connection
from toolbox_fleet_kubernetes.client.errors import AlreadyThere
from toolbox_fleet_kubernetes.client.errors import NotThere
from toolbox_fleet_kubernetes.client.errors import Outdated
from toolbox_fleet_kubernetes.client.kinds import CLAIM
from toolbox_fleet_kubernetes.client.kinds import SANDBOX
from toolbox_fleet_kubernetes.client.kinds import SECRET
from toolbox_fleet_kubernetes.client.kinds import Claim
from toolbox_fleet_kubernetes.client.kinds import SandboxObject
from toolbox_fleet_kubernetes.client.kinds import Secret
from toolbox_fleet_kubernetes.client.kinds import Template
from toolbox_fleet_kubernetes.client.kinds import kind_of
from toolbox_fleet_kubernetes.objects import blueprints
from toolbox_fleet_kubernetes.objects import manifests
from toolbox_fleet_kubernetes.objects.names import ID
from toolbox_fleet_kubernetes.objects.names import object_name
from toolbox_fleet_kubernetes.objects.names import secret_name
from toolbox_fleet_kubernetes.objects.records import Record
from toolbox_fleet_kubernetes.objects.records import new_record
from toolbox_fleet_kubernetes.preparing import Preparer
from toolbox_fleet_kubernetes.resources.network import Networks
from toolbox_fleet_kubernetes.resources.secrets import Secrets
from toolbox_fleet_kubernetes.resources.snapshots import build_image
from toolbox_fleet_kubernetes.resources.templates import Templates
from toolbox_fleet_kubernetes.resources.volumes import Volumes
from toolbox_fleet_kubernetes.settings import KubernetesSettings

log = logging.getLogger("toolbox")

WARM = 2.0
"""Seconds for which a creation waits for what a warm pool has ready, which takes less than half of
one: others may have been faster, and then its pod has to start first.
"""


class Creator:
    """Creates sandboxes. *Any thread.*

    First the Secret, whose name only one creation gets; then the claim or Sandbox; then the Secret
    is made to end with that. If this replica ends in between, a Secret without a sandbox is left,
    which any replica removes.
    """

    def __init__(
        self,
        settings: KubernetesSettings,
        connection: Connection,
        cluster: Cluster,
        feeds: Feeds,
        templates: Templates,
        volumes: Volumes,
        networks: Networks,
        kept: Secrets,
        preparer: Preparer,
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._cluster = cluster
        self._feeds = feeds
        self._templates = templates
        self._volumes = volumes
        self._networks = networks
        self._kept = kept
        self._preparer = preparer
        self.later: Callable[[Callable[[], None]], None] = lambda job: None
        """Called with what is to be done again until it succeeds."""

    def create(self, wanted: CreateSandbox) -> str:
        """Create a sandbox; return its id. Raises as ``FleetBackend.create``.

        One that a warm pool has ready is waited for.
        """
        record = new_record(wanted)
        # Also the id of another, for which no Secret would be taken.
        if self._cluster.get(record.name) is not None:
            raise NameTaken(f"the name {record.name!r} is taken")
        template = self._templates.of(wanted.snapshot)
        if wanted.build_info is not None:
            build_image(wanted.build_info)
        record = _of_template(record, wanted, blueprints.sizes(template.spec))
        volumes, claims = self._volumes.resolve(wanted.volumes or [])
        record = msgspec.structs.replace(record, volumes=volumes)
        self._kept.check(record.secrets)
        pool = self._templates.pool(template, wanted)
        secret = self._reserve(record, wanted.env or {})
        is_warm = pool is not None and pool.status.ready_replicas > 0
        try:
            self._preparer.expect(record.id)
            made: Claim | SandboxObject = (
                self._claim(record, pool.metadata.name)
                if pool is not None
                else self._sandbox(record, wanted, template, claims, secret)
            )
        except BaseException as error:
            self._give_up(record, error)
            raise
        self._bind(secret, made)
        if is_warm:
            # Found started, it needs no look, whose response on its way an event may overtake:
            # clients would take the older one for the state of now.
            self._cluster.wait_until_made(record.id, WARM)
        return record.id

    def _reserve(self, record: Record, env: dict[str, str]) -> Secret:
        token, key = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        manifest = manifests.secret(record, self._settings.owner, token, key, env)
        try:
            secret = self._connection.create(SECRET, manifest)
        except AlreadyThere:
            raise NameTaken(f"the name {record.name!r} is taken") from None
        except Unavailable as error:
            self._give_up(record, error)
            raise
        self._feeds.secrets.put(secret)
        return secret

    def _claim(self, record: Record, pool: str) -> Claim:
        manifest = manifests.claim(record, self._settings.owner, pool)
        claim = self._connection.create(CLAIM, manifest)
        self._feeds.claims.put(claim)
        return claim

    def _sandbox(
        self,
        record: Record,
        wanted: CreateSandbox,
        template: Template,
        claims: dict[str, str],
        secret: Secret,
    ) -> SandboxObject:
        sizes = (wanted.cpu, wanted.memory, wanted.disk)
        blueprint = blueprints.with_sizes(template.spec, sizes)
        if wanted.build_info is not None:
            blueprint = blueprints.of_image(blueprint, build_image(wanted.build_info))
        # First: no packet may leave before it holds.
        is_limited = self._networks.open(record, template, secret.metadata)
        manifest = manifests.sandbox(record, self._settings.owner, blueprint, claims)
        sandbox = self._connection.create(SANDBOX, manifest)
        self._feeds.sandboxes.put(sandbox)
        if is_limited:
            self._networks.bind(record, (SANDBOX, sandbox.metadata))
        return sandbox

    def _give_up(self, record: Record, error: BaseException) -> None:
        """Remove what there is: a request may have succeeded though its response was lost."""
        self._preparer.forget(record.id)
        remove = partial(self._remove, record)
        # It may even succeed after this.
        again = isinstance(error, Unavailable)
        try:
            remove()
        except ToolboxError as trouble:
            log.warning("sandbox %s could not be removed yet: %s", record.id, trouble)
            again = True
        if again:
            self.later(remove)

    def _remove(self, record: Record) -> None:
        name = object_name(record.id)
        self._connection.delete(CLAIM, name, "")
        self._connection.delete(SANDBOX, name, "")
        self._networks.close(record)
        with suppress(NotThere):
            secret = self._connection.get(SECRET, secret_name(record.name))
            # Its name may be another one's by now.
            if secret.metadata.labels.get(ID) == record.id:
                self._connection.delete(SECRET, secret.metadata.name, secret.metadata.uid)
                self._feeds.secrets.remove(secret)

    def _bind(self, secret: Secret, made: Claim | SandboxObject) -> None:
        change = manifests.owned_by((kind_of(made), made.metadata))
        try:
            self._feeds.secrets.put(self._connection.patch(SECRET, secret.metadata.name, change))
        except (ToolboxError, NotThere, Outdated) as error:
            # The sandbox is there, so this is not the client's trouble.
            log.warning("secret %s has no owner yet: %s", secret.metadata.name, error)


def _of_template(record: Record, wanted: CreateSandbox, sizes: tuple[int, int, int]) -> Record:
    cpu, memory, disk = sizes
    return msgspec.structs.replace(
        record,
        cpu=wanted.cpu or cpu,
        memory=wanted.memory or memory,
        disk=wanted.disk or disk,
        last_activity_at=record.created_at,
    )
