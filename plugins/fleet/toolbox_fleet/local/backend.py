"""The backend ``local``: each sandbox is a service of its own on this machine.

It is composed of parts, and the parts know each other only by what they are given:

``Store`` and ``Table``
    the records; ``Store.table(kind, Struct)`` makes the table of a kind.
``Layout``
    the directories; ``Layout.place(kind, id)`` is that of a resource.
``Lifecycle``
    everything that takes a sandbox from one state to another. For a transition of one's own:
    ``Lifecycle.run(key, Transition(...), work)``.
``Supply``
    a kind of resource that sandboxes are made with: checked in ``create``, filled before the first
    start, mounted and put into the environment before each.

A kind of resource has a module with its part, ``Volumes(store, layout, ...)``, which is a
``Supply`` if sandboxes are made with it, and an ability, ``class VolumeAbility``, with the methods
of the Protocol ``HasVolumes``. ``LocalFleet`` makes the parts and inherits the abilities, whose
only state is the part: ``_volumes: Volumes``.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import msgspec

from toolbox.lifecycle import Context
from toolbox.plugins.capabilities import Figure
from toolbox_fleet.errors import Refused
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.errors import WrongState
from toolbox_fleet.local.addresses import find_ports
from toolbox_fleet.local.addresses import upstream_of
from toolbox_fleet.local.creating import NO_ALLOW_LISTS
from toolbox_fleet.local.creating import new_record
from toolbox_fleet.local.ending import stop_all
from toolbox_fleet.local.layout import Layout
from toolbox_fleet.local.lifecycle import PAUSE
from toolbox_fleet.local.lifecycle import RECOVER
from toolbox_fleet.local.lifecycle import STOP
from toolbox_fleet.local.lifecycle import Lifecycle
from toolbox_fleet.local.metrics import Metrics
from toolbox_fleet.local.records import Record
from toolbox_fleet.local.recovery import Recovery
from toolbox_fleet.local.running.choosing import check
from toolbox_fleet.local.running.service import Services
from toolbox_fleet.local.running.service import new_secret
from toolbox_fleet.local.running.watching import Watcher
from toolbox_fleet.local.settings import LocalSettings
from toolbox_fleet.local.settings import data_directory
from toolbox_fleet.local.states import States
from toolbox_fleet.local.states import Transition
from toolbox_fleet.local.storage.parts import StorageAbilities
from toolbox_fleet.local.store import Store
from toolbox_fleet.models.addresses import Upstream
from toolbox_fleet.models.events import Event
from toolbox_fleet.models.metrics import Series
from toolbox_fleet.models.sandboxes import Changes
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import NetworkSettings
from toolbox_fleet.models.sandboxes import Resources
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.names import check_labels
from toolbox_fleet.plane import Plane

SETTLED = ("started", "stopped", "paused", "archived", "error")
"""States in which nothing happens to a sandbox."""

log = logging.getLogger("toolbox")


class LocalFleet(StorageAbilities):
    """See :class:`toolbox_fleet.backend.FleetBackend`, and the abilities there."""

    def __init__(self, settings: LocalSettings, context: Context) -> None:
        self._settings = settings
        self._context = context
        self._layout = Layout(data_directory(settings))
        self._store = Store(self._layout)
        self._records = self._store.table("sandbox", Record)
        self._services = Services(settings, self._layout, Watcher(context.loop))
        self._services.digest = self._digest
        self._states = States(context, settings, self._records, self._report)
        self._lifecycle = Lifecycle(context, self._layout, self._states, self._services)
        self._metrics = Metrics(context, self._started, self._services.usage, self._files)
        self._lifecycle.metrics = self._metrics
        self._recovery = Recovery(self._layout, self._lifecycle)
        self._add_storage(self._store, self._lifecycle, self._recovery, context, settings)
        self._recovering = threading.Lock()
        self._recovered = False
        # It asks for all sandboxes at once, on another thread, and they tell it what they become.
        with self._recovering:
            self.plane = Plane(self, context)
        if self._store.exists:
            self._recover_at_start()

    def _recover_at_start(self) -> None:
        try:
            self.ready()
        except Refused as error:
            # The groups beside this one are of use nevertheless.
            log.warning("no sandboxes: %s", error)
        else:
            self._context.listeners.when_attached(self._find_ports)

    def _find_ports(self) -> None:
        # Not on the thread that accepts connections.
        work = partial(find_ports, self._states, self._services, self.plane)
        self._context.pool.submit(self._states.guard, "of the ports", work)

    def ready(self) -> None:
        """Adopt what an earlier control plane has left, once. Raises Refused if another service
        holds the records.
        """
        with self._recovering:
            if not self._recovered and self._store.exists:
                self._recovery.recover()
            self._recovered = True

    def _report(self, event: Event) -> None:
        self.plane.report(event)
        self._pools.noticed(event)

    def _started(self) -> list[Record]:
        return [record for record in self._records.all() if record.sandbox.state == "started"]

    def _files(self, identity: str) -> Path:
        return self._layout.sandbox(identity).files

    def _digest(self) -> str:
        token = self._context.auth.store.token
        return hashlib.sha256(token).hexdigest() if token else ""

    def create(self, wanted: CreateSandbox) -> Sandbox:
        self.ready()
        return self._create(wanted)

    def _create(self, wanted: CreateSandbox, pool_id: str | None = None) -> Sandbox:
        isolation = self._services.isolation
        if wanted.network_block_all:
            isolation.check_network()
        record = new_record(wanted, self._settings, isolation.user)
        if pool_id is None:
            if (claimed := self._pools.claim(wanted, record)) is not None:
                self.plane.counts.took_warm()
                return claimed
        else:
            waiting = msgspec.structs.replace(record.sandbox, warm_pool_id=pool_id)
            record = msgspec.structs.replace(record, sandbox=waiting)
        # In this order, as everywhere: a change of state holds the first and then stores.
        with self._states.lock, self._store.transaction():
            for supply in self._services.supplies:
                record = supply.check(wanted, record)
            return self._lifecycle.create(record)

    def sandbox(self, key: str) -> Sandbox:
        self.ready()
        return self._states.record(key).sandbox

    def sandboxes(self) -> Iterable[Sandbox]:
        self.ready()
        return [record.sandbox for record in self._records.all()]

    def start(self, key: str) -> Sandbox:
        self.ready()
        return self._lifecycle.start(key)

    def stop(self, key: str, force: bool) -> Sandbox:
        self.ready()
        return self._states.run(
            key, STOP, lambda record: self._lifecycle.stop_service(record, force)
        )

    def pause(self, key: str) -> Sandbox:
        """See :class:`toolbox_fleet.backend.CanPause`."""
        self.ready()
        return self._states.run(key, PAUSE, self._lifecycle.pause)

    def recover(self, key: str, skip_start: bool) -> Sandbox:
        """See :class:`toolbox_fleet.backend.CanRecover`."""
        self.ready()
        if skip_start:
            stop = Transition(frozenset({"error"}), "stopping", "stopped", "stopped")
            return self._states.run(key, stop, self._lifecycle.stop_service)
        return self._lifecycle.begin(key, RECOVER, self._lifecycle.restore)

    def delete(self, key: str) -> Sandbox:
        self.ready()
        return self._lifecycle.delete(key)

    def change(self, key: str, changes: Changes) -> Sandbox:
        self.ready()
        made = changes.made()
        check_labels(made.get("labels", {}))

        def change(record: Record) -> Record:
            sandbox = msgspec.structs.replace(record.sandbox, **made)
            return msgspec.structs.replace(record, sandbox=sandbox)

        return self._records.change(self._states.record(key).sandbox.id, change).sandbox

    def upstream(self, key: str) -> Upstream:
        self.ready()
        return upstream_of(self._states.record(key), self._services)

    def signing_key(self, key: str) -> str:
        self.ready()
        return self._states.record(key).signing_key

    def rotate_signing_key(self, key: str) -> str:
        """See :class:`toolbox_fleet.backend.CanRotateSigningKey`."""
        self.ready()
        new = new_secret()
        identity = self._states.record(key).sandbox.id
        changed = self._records.change(
            identity, lambda record: msgspec.structs.replace(record, signing_key=new)
        )
        self._services.rotate_signing_key(changed)
        return new

    def resize(self, key: str, resources: Resources) -> Sandbox:
        """See :class:`toolbox_fleet.backend.CanResize`."""
        self.ready()
        wanted = {name: getattr(resources, name) for name in ("cpu", "memory", "disk")}
        changes = {name: value for name, value in wanted.items() if value is not None}

        def change(record: Record) -> Record:
            if record.sandbox.state not in SETTLED:
                raise WrongState(f"the sandbox is {record.sandbox.state}")
            sandbox = msgspec.structs.replace(record.sandbox, **changes)
            return msgspec.structs.replace(record, sandbox=sandbox)

        changed = self._records.change(self._states.record(key).sandbox.id, change)
        self._services.limit(changed)
        return changed.sandbox

    def set_network(self, key: str, settings: NetworkSettings) -> Sandbox:
        """See :class:`toolbox_fleet.backend.CanIsolateNetwork`."""
        self.ready()
        if settings.network_allow_list or settings.domain_allow_list:
            raise Unsupported(NO_ALLOW_LISTS)
        block = settings.network_block_all

        def change(record: Record) -> Record:
            if block is None or block == record.sandbox.network_block_all:
                return record
            # Processes can't be taken out of their network namespace.
            if record.running is not None:
                raise WrongState("the network of a sandbox changes while it is stopped: stop it")
            sandbox = msgspec.structs.replace(record.sandbox, network_block_all=block)
            return msgspec.structs.replace(record, sandbox=sandbox)

        if block:
            self._services.isolation.check_network()
        return self._records.change(self._states.record(key).sandbox.id, change).sandbox

    def metrics(self, key: str, start: float, end: float) -> list[Series]:
        """See :class:`toolbox_fleet.backend.HasMetrics`."""
        self.ready()
        return self._metrics.series(self._states.record(key).sandbox.id, start, end)

    def figures(self) -> Iterable[Figure]:
        """See :class:`toolbox.plugins.capabilities.HasFigures`."""
        return self.plane.figures()

    @staticmethod
    def check(settings: LocalSettings) -> None:
        """See :class:`toolbox.plugins.capabilities.HasCheck`."""
        check(settings)
        StorageAbilities.check_storage(settings)

    def details(self) -> dict[str, str]:
        """See :class:`toolbox.plugins.capabilities.HasDetails`."""
        return {
            "data": str(self._layout.root),
            "isolation": self._services.isolation.describes,
            "limits": self._services.groups.describe(),
        }

    def close(self) -> None:
        """End or keep the sandboxes, as the settings say."""
        self._close_storage()
        self._metrics.close()
        if self._settings.on_stop == "stop" and self._store.exists:
            stop_all(self._lifecycle, self._context.pool)
        self.plane.close()
        self._store.close()
