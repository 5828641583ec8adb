"""Finding the template and the pool that a sandbox is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from toolbox_fleet.errors import NoSuchResource
from toolbox_fleet.models.sandboxes import CreateSandbox

from toolbox_fleet_kubernetes.cache.cluster import Cluster
from toolbox_fleet_kubernetes.client.kinds import Claim
from toolbox_fleet_kubernetes.client.kinds import Template
from toolbox_fleet_kubernetes.client.kinds import WarmPoolObject
from toolbox_fleet_kubernetes.objects import blueprints
from toolbox_fleet_kubernetes.settings import KubernetesSettings


class Templates:
    """The templates of a namespace: anybody's may be used, only ours are changed."""

    def __init__(
        self, cluster: Cluster, settings: KubernetesSettings, look: Callable[[], None]
    ) -> None:
        self._look = look
        self._cluster = cluster
        self._settings = settings

    def of(self, snapshot: str | None) -> Template:
        """Return the template of a snapshot, or of none. Raises NoSuchResource."""
        if not snapshot or self.is_default(snapshot):
            name = self._settings.template
            if (found := self._get(name)) is not None:
                return found
            raise NoSuchResource(
                f"the cluster has no SandboxTemplate {name!r}: apply one, see conf/kubernetes, or"
                " set [fleet.kubernetes] template"
            )
        return self.find(snapshot)

    def is_default(self, snapshot: str) -> bool:
        """Report whether a snapshot's name stands for the default template."""
        return snapshot in self._settings.default_snapshots

    def all(self) -> list[Template]:
        """Return all templates."""
        with self._cluster.lock:
            return list(self._cluster.templates)

    def find(self, key: str) -> Template:
        """Return the template of the snapshot with this id or name. Raises NoSuchResource."""
        found = self._known(key)
        if found is None:
            # Perhaps another replica has just made it.
            self._look()
            found = self._known(key)
        if found is not None:
            return found
        raise NoSuchResource(f"no snapshot has the id or name {key!r}")

    def _known(self, key: str) -> Template | None:
        for one in self.all():
            if key in (blueprints.snapshot_id(one), blueprints.snapshot_name(one)):
                return one
        return None

    def _get(self, name: str) -> Template | None:
        with self._cluster.lock:
            return self._cluster.templates.get(name)

    def pool(self, template: Template, wanted: CreateSandbox) -> WarmPoolObject | None:
        """Return the pool whose sandboxes can be what is wanted, None if there is none."""
        if not fits(template, wanted):
            return None
        # A claim of an empty pool works, too, but has to wait for its pod.
        pools = self.pools(template)
        return max(pools, key=lambda pool: pool.status.ready_replicas, default=None)

    def pools(self, template: Template) -> list[WarmPoolObject]:
        """Return the pools of a template."""
        name = template.metadata.name
        with self._cluster.lock:
            found = [p for p in self._cluster.pools if p.spec.sandbox_template_ref.name == name]
        return [pool for pool in found if not pool.metadata.deletion_timestamp]

    def of_claim(self, claim: Claim) -> Template | None:
        """Return the template of a claim's pool, None if one of the two is gone."""
        with self._cluster.lock:
            pool = self._cluster.pools.get(claim.spec.warm_pool_ref.name)
        return self.of_pool(pool) if pool is not None else None

    def of_pool(self, pool: WarmPoolObject) -> Template | None:
        """Return the template of a pool, None if it is gone."""
        return self._get(pool.spec.sandbox_template_ref.name)


def fits(template: Template, wanted: CreateSandbox) -> bool:
    """Report whether a pod that runs already can be what is wanted."""
    needs_start: tuple[Any, ...] = (
        wanted.volumes,
        wanted.network_block_all,
        wanted.network_allow_list,
        wanted.user,
        wanted.build_info,
    )
    if any(needs_start):
        return False
    sizes = blueprints.sizes(template.spec)
    given = (wanted.cpu, wanted.memory, wanted.disk)
    return all(one in (None, size) for one, size in zip(given, sizes, strict=True))
