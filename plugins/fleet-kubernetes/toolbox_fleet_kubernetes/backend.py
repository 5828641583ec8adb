"""The backend ``kubernetes``: each sandbox is a pod, by the objects of agent-sandbox.

Everything is in the cluster's objects, nothing here: any number of replicas serve the same
sandboxes. It is composed of parts:

``Connection``
    requests to the API server.
``Cluster``, ``Feeds``
    what the cluster has, and the watches that tell of it.
``Creator``, ``Lifecycle``
    the changes that clients ask for.
``Preparer``
    gives pods the token and the environment of their sandbox.
``Traffic``
    the way to a pod.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from toolbox_fleet.models.addresses import Upstream
from toolbox_fleet.models.events import Event
from toolbox_fleet.models.sandboxes import Changes
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.plane import Plane

from toolbox.errors import ToolboxError
from toolbox.lifecycle import Context
from toolbox.plugins.capabilities import Figure
from toolbox_fleet_kubernetes.cache.cluster import Cluster
from toolbox_fleet_kubernetes.cache.feeds import Feeds
from toolbox_fleet_kubernetes.client.config import load
from toolbox_fleet_kubernetes.client.connection import Connection
from toolbox_fleet_kubernetes.creating import Creator
from toolbox_fleet_kubernetes.janitor import Janitor
from toolbox_fleet_kubernetes.lacking import LACKS
from toolbox_fleet_kubernetes.lifecycle import Lifecycle
from toolbox_fleet_kubernetes.lookup import Lookup
from toolbox_fleet_kubernetes.objects import manifests
from toolbox_fleet_kubernetes.objects.records import Record
from toolbox_fleet_kubernetes.objects.records import changed
from toolbox_fleet_kubernetes.preparing import Preparer
from toolbox_fleet_kubernetes.resources.network import NetworkAbility
from toolbox_fleet_kubernetes.resources.network import Networks
from toolbox_fleet_kubernetes.resources.secrets import SecretAbility
from toolbox_fleet_kubernetes.resources.secrets import Secrets
from toolbox_fleet_kubernetes.resources.signing import SigningAbility
from toolbox_fleet_kubernetes.resources.sizes import SizeAbility
from toolbox_fleet_kubernetes.resources.snapshots import SnapshotAbility
from toolbox_fleet_kubernetes.resources.snapshots import Snapshots
from toolbox_fleet_kubernetes.resources.templates import Templates
from toolbox_fleet_kubernetes.resources.volumes import VolumeAbility
from toolbox_fleet_kubernetes.resources.volumes import Volumes
from toolbox_fleet_kubernetes.resources.warm_pools import WarmPoolAbility
from toolbox_fleet_kubernetes.resources.warm_pools import WarmPools
from toolbox_fleet_kubernetes.settings import KubernetesSettings
from toolbox_fleet_kubernetes.settling import Settler
from toolbox_fleet_kubernetes.traffic import Traffic


class KubernetesFleet(
    SnapshotAbility,
    WarmPoolAbility,
    VolumeAbility,
    NetworkAbility,
    SecretAbility,
    SizeAbility,
    SigningAbility,
):
    """See :class:`toolbox_fleet.backend.FleetBackend`, and the abilities there."""

    lacks = LACKS

    def __init__(self, settings: KubernetesSettings, context: Context) -> None:
        self._settings = settings
        self._connection = Connection(load(settings), settings.namespace)
        self._traffic = Traffic(settings, self._connection.namespace)
        self._cluster = Cluster(settings.owner, context.loop, settings.start_timeout)
        self._feeds = Feeds(self._connection, self._cluster, settings.owner)
        self._preparer = Preparer(context, self._connection, self._traffic)
        self._templates = Templates(
            self._cluster, settings, Lookup(self._connection, self._cluster, self._feeds).templates
        )
        self._lifecycle = Lifecycle(self._connection, self._cluster, self._feeds, self._preparer)
        self._volumes = Volumes(settings, self._connection, self._cluster)
        self._networks = Networks(settings.owner, self._connection, self._feeds, self._templates)
        self._secrets = Secrets(settings.owner, self._connection, self._cluster)
        self._snapshots = Snapshots(settings.owner, self._connection, self._feeds, self._templates)
        self._pools = WarmPools(
            settings.owner, self._connection, self._cluster, self._feeds, self._templates
        )
        self._creator = Creator(
            settings,
            self._connection,
            self._cluster,
            self._feeds,
            self._templates,
            self._volumes,
            self._networks,
            self._secrets,
            self._preparer,
        )
        settler = Settler(self._cluster, self._networks, self._preparer)
        self._janitor = Janitor(context, self._connection, self._cluster, self._lifecycle, settler)
        self.plane = Plane(self, context)
        # Complete first: from now on it is told of things, on other threads.
        self._connect_parts()
        self._feeds.start()

    def _connect_parts(self) -> None:
        self._creator.later = self._janitor.later
        self._preparer.find = self._cluster.get
        self._preparer.prepared = self._feeds.put_primary
        self._preparer.troubled = lambda identity, text: self._cluster.touch(identity, trouble=text)
        self._lifecycle.ending = self._networks.outlive
        self._preparer.secrets = self._secrets.environment
        self._preparer.took_warm = self.plane.counts.took_warm
        self._cluster.report = self._report
        self._cluster.noticed = self._preparer.notice
        self._cluster.orphaned = self._janitor.orphaned

    def _report(self, event: Event) -> None:
        if event.new == "destroyed":
            self._preparer.forget(event.sandbox.id)
        self.plane.report(event)

    def create(self, wanted: CreateSandbox) -> Sandbox:
        self._feeds.wait()
        return self._lifecycle.entry(self._creator.create(wanted)).view

    def sandbox(self, key: str) -> Sandbox:
        self._feeds.wait()
        return self._lifecycle.entry(key).view

    def sandboxes(self) -> Iterable[Sandbox]:
        self._feeds.wait()
        return self._cluster.views()

    def start(self, key: str) -> Sandbox:
        self._feeds.wait()
        return self._lifecycle.start(key)

    def stop(self, key: str, force: bool) -> Sandbox:
        self._feeds.wait()
        return self._lifecycle.stop(key, force)

    def recover(self, key: str, skip_start: bool) -> Sandbox:
        """See :class:`toolbox_fleet.backend.CanRecover`."""
        self._feeds.wait()
        return self._lifecycle.recover(key, skip_start)

    def archive(self, key: str) -> Sandbox:
        """See :class:`toolbox_fleet.backend.CanArchive`."""
        self._feeds.wait()
        return self._lifecycle.archive(key)

    def delete(self, key: str) -> Sandbox:
        self._feeds.wait()
        return self._lifecycle.delete(key)

    def change(self, key: str, changes: Changes) -> Sandbox:
        self._feeds.wait()
        more = partial(_end, changes)
        return self._lifecycle.change(key, lambda record: changed(record, changes), more)

    def upstream(self, key: str) -> Upstream:
        self._feeds.wait()
        return self._traffic.upstream(self._lifecycle.entry(key))

    def signing_key(self, key: str) -> str:
        self._feeds.wait()
        return self._lifecycle.entry(key).signing_key

    @staticmethod
    def check(settings: KubernetesSettings) -> None:
        """See :class:`toolbox.plugins.capabilities.HasCheck`."""
        Traffic(settings, load(settings).namespace)

    def figures(self) -> Iterable[Figure]:
        """See :class:`toolbox.plugins.capabilities.HasFigures`."""
        return self.plane.figures()

    def details(self) -> dict[str, str]:
        """See :class:`toolbox.plugins.capabilities.HasDetails`."""
        try:
            self._feeds.wait()
        except ToolboxError as error:
            return {"cluster": str(error)}
        return {
            "namespace": self._connection.namespace,
            "route": self._settings.route,
            "cluster": self._feeds.trouble() or "followed",
        }

    def close(self) -> None:
        """Let go of the cluster; sandboxes stay."""
        self._janitor.close()
        self._feeds.close()
        self._preparer.close()
        self._connection.release()
        self._cluster.close()
        self.plane.close()


def _end(changes: Changes, is_claim: bool, record: Record) -> dict[str, object]:
    """Return the change of a time to live: the cluster ends the sandbox, too, if we don't."""
    if "auto_destroy_at" not in changes.made():
        return {}
    end = record.auto_destroy_at
    if is_claim:
        return {"spec": {"lifecycle": manifests.claim_end(end)}}
    return {"spec": manifests.sandbox_end(end)}
