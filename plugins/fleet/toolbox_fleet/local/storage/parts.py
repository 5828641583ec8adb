"""All parts for what sandboxes are made of and what outlives them, put together."""

from __future__ import annotations

from toolbox.lifecycle import Context
from toolbox.trees.staging import Staging
from toolbox_fleet.local.lifecycle import Lifecycle
from toolbox_fleet.local.recovery import Recovery
from toolbox_fleet.local.settings import LocalSettings
from toolbox_fleet.local.storage.archive import ArchiveAbility
from toolbox_fleet.local.storage.archive import Archives
from toolbox_fleet.local.storage.building import check_builder
from toolbox_fleet.local.storage.defaults import Defaults
from toolbox_fleet.local.storage.forks import ForkAbility
from toolbox_fleet.local.storage.forks import Forks
from toolbox_fleet.local.storage.images import WAITING
from toolbox_fleet.local.storage.images import BuildAbility
from toolbox_fleet.local.storage.images import Images
from toolbox_fleet.local.storage.secrets import SecretAbility
from toolbox_fleet.local.storage.secrets import Secrets
from toolbox_fleet.local.storage.snapshots import SnapshotAbility
from toolbox_fleet.local.storage.snapshots import Snapshots
from toolbox_fleet.local.storage.templates import Templates
from toolbox_fleet.local.storage.volumes import VolumeAbility
from toolbox_fleet.local.storage.volumes import Volumes
from toolbox_fleet.local.storage.warm_pools import WarmPoolAbility
from toolbox_fleet.local.storage.warm_pools import WarmPools
from toolbox_fleet.local.store import Store
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import Sandbox


class StorageAbilities(
    VolumeAbility,
    SecretAbility,
    SnapshotAbility,
    BuildAbility,
    ForkAbility,
    ArchiveAbility,
    WarmPoolAbility,
):
    """The abilities of a backend that has these parts."""

    _lifecycle: Lifecycle

    def _create(self, wanted: CreateSandbox, pool_id: str | None = None) -> Sandbox:
        """Create a sandbox, with ``pool_id`` one that waits in that pool."""
        raise NotImplementedError

    def _add_storage(
        self,
        store: Store,
        lifecycle: Lifecycle,
        recovery: Recovery,
        context: Context,
        settings: LocalSettings,
    ) -> None:
        """Make the parts, and let the others know them."""
        layout, services, records = lifecycle.layout, lifecycle.services, lifecycle.states.table
        staging = Staging(layout.root / "staging")
        defaults = Defaults(settings)
        self._templates = Templates(store, layout, staging, records, context.pool, defaults)
        self._volumes = Volumes(store, layout, services, records)
        self._secrets = Secrets(store, lifecycle.states)
        self._images = Images(store, lifecycle, self._templates, settings)
        self._states_of = lifecycle.states.record
        self._snapshots = Snapshots(lifecycle, self._templates)
        self._forks = Forks(lifecycle, layout, staging, settings)
        self._archives = Archives(lifecycle, layout, staging)
        self._pools = WarmPools(store, context, lifecycle, self._templates, settings, self._create)
        services.supplies += [
            self._volumes,
            self._secrets,
            self._snapshots,
            # After what finds the snapshot that is named.
            self._images,
            self._forks,
            self._archives,
        ]
        recovery.continued |= {
            "snapshotting": self._snapshots.continue_snapshotting,
            "archiving": self._archives.continue_archiving,
            **dict.fromkeys(WAITING, self._images.continue_waiting),
        }
        # In this order: what is lent is known before anything is filled.
        recovery.before += [staging.sweep, self._templates.recover, self._images.recover]
        recovery.after.append(self._pools.fill_soon)

    def _close_storage(self) -> None:
        """Begin nothing more, and end what goes on without any sandbox."""
        self._lifecycle.states.close()
        self._images.close()

    @staticmethod
    def check_storage(settings: LocalSettings) -> None:
        """Raise SettingsError for what can't work."""
        check_builder(settings.builder)
