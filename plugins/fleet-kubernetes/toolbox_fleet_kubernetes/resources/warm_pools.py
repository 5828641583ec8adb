"""Warm pools: one to one those of agent-sandbox, whose controller keeps them full."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from toolbox_fleet.errors import NameTaken
from toolbox_fleet.errors import NoSuchResource
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.models.warm_pools import CreateWarmPool
from toolbox_fleet.models.warm_pools import WarmPool

from toolbox_fleet_kubernetes.cache.cluster import Cluster
from toolbox_fleet_kubernetes.cache.feeds import Feeds
from toolbox_fleet_kubernetes.client.connection import Connection
from toolbox_fleet_kubernetes.client.errors import AlreadyThere
from toolbox_fleet_kubernetes.client.errors import NotThere
from toolbox_fleet_kubernetes.client.kinds import WARM_POOL
from toolbox_fleet_kubernetes.client.kinds import WarmPoolObject
from toolbox_fleet_kubernetes.objects import blueprints
from toolbox_fleet_kubernetes.objects import manifests
from toolbox_fleet_kubernetes.objects.names import ID
from toolbox_fleet_kubernetes.objects.names import OWNER
from toolbox_fleet_kubernetes.objects.records import USER
from toolbox_fleet_kubernetes.resources.snapshots import created_at
from toolbox_fleet_kubernetes.resources.templates import Templates


class WarmPools:
    """Makes, changes and removes pools. *Any thread.*"""

    def __init__(
        self,
        owner: str,
        connection: Connection,
        cluster: Cluster,
        feeds: Feeds,
        templates: Templates,
    ) -> None:
        self._owner = owner
        self._connection = connection
        self._cluster = cluster
        self._feeds = feeds
        self._templates = templates

    def all(self) -> list[WarmPool]:
        """Return all pools: those that others have applied, too."""
        with self._cluster.lock:
            return [self._pool(one) for one in self._cluster.pools]

    def create(self, wanted: CreateWarmPool) -> WarmPool:
        """Make a pool for a snapshot. Raises NameTaken, NoSuchResource."""
        template = self._templates.of(wanted.snapshot)
        name = template.metadata.name
        manifest = manifests.warm_pool(name, str(uuid.uuid4()), self._owner, wanted.pool)
        try:
            # Also one that others have applied: claims would be divided between the two.
            if self._templates.pools(template):
                raise AlreadyThere
            made = self._connection.create(WARM_POOL, manifest)
        except AlreadyThere:
            raise NameTaken(f"the snapshot {wanted.snapshot!r} has a warm pool") from None
        self._feeds.pools.put(made)
        return self._pool(made)

    def update(self, identity: str, size: int) -> WarmPool:
        """Set the size of a pool. Raises NoSuchResource, Unsupported."""
        pool = self._own(identity)
        try:
            changed = self._connection.merge(WARM_POOL, pool.metadata, {"spec": {"replicas": size}})
        except NotThere:
            raise NoSuchResource("no warm pool has this id") from None
        self._feeds.pools.put(changed)
        return self._pool(changed)

    def delete(self, identity: str) -> None:
        """Remove a pool, with the sandboxes that wait in it. Raises as :meth:`update`."""
        pool = self._own(identity)
        self._connection.delete(WARM_POOL, pool.metadata.name, pool.metadata.uid)
        self._feeds.pools.remove(pool)

    def _own(self, identity: str) -> WarmPoolObject:
        with self._cluster.lock:
            found = [one for one in self._cluster.pools if _id(one) == identity]
        if not found:
            raise NoSuchResource("no warm pool has this id")
        if found[0].metadata.labels.get(OWNER) != self._owner:
            raise Unsupported("this SandboxWarmPool was applied by others, who may change it")
        return found[0]

    def _pool(self, pool: WarmPoolObject) -> WarmPool:
        template = self._templates.of_pool(pool)
        cpu, memory, disk = blueprints.sizes(template.spec if template else {})
        created = created_at(pool.metadata)
        reference = pool.spec.sandbox_template_ref.name
        return WarmPool(
            id=_id(pool),
            snapshot=blueprints.snapshot_name(template) if template else reference,
            pool=pool.spec.replicas,
            current_size=pool.status.ready_replicas,
            cpu=cpu,
            mem=memory,
            disk=disk,
            os_user=USER,
            error_reason=None if template else f"no SandboxTemplate {reference!r}",
            created_at=created,
            updated_at=created,
        )


def _id(pool: WarmPoolObject) -> str:
    return pool.metadata.labels.get(ID) or pool.metadata.uid


class WarmPoolAbility:
    """See :class:`toolbox_fleet.backend.HasWarmPools`."""

    _feeds: Feeds
    _pools: WarmPools

    def warm_pools(self) -> Iterable[WarmPool]:
        self._feeds.wait()
        return self._pools.all()

    def create_warm_pool(self, wanted: CreateWarmPool) -> WarmPool:
        self._feeds.wait()
        return self._pools.create(wanted)

    def update_warm_pool(self, pool_id: str, size: int) -> WarmPool:
        self._feeds.wait()
        return self._pools.update(pool_id, size)

    def delete_warm_pool(self, pool_id: str) -> None:
        self._feeds.wait()
        self._pools.delete(pool_id)
