"""Warm pools: started sandboxes that nobody uses yet, for the next ``create``."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from collections.abc import Iterable

import msgspec

from toolbox.errors import ToolboxError
from toolbox.lifecycle import Context
from toolbox_fleet.errors import NoSuchResource
from toolbox_fleet.local.lifecycle import Lifecycle
from toolbox_fleet.local.records import Record
from toolbox_fleet.local.settings import LocalSettings
from toolbox_fleet.local.storage.claims import Claims
from toolbox_fleet.local.storage.claims import fits
from toolbox_fleet.local.storage.templates import Templates
from toolbox_fleet.local.store import Store
from toolbox_fleet.models.events import Event
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.models.warm_pools import CreateWarmPool
from toolbox_fleet.models.warm_pools import WarmPool
from toolbox_fleet.times import format_time

log = logging.getLogger("toolbox")

RETRY = 30.0
"""Seconds after which a pool that couldn't be filled is filled again."""

# Only a started one saves its user the wait; one that is coming counts as filling the pool.
READY = frozenset({"started"})
COMING = frozenset({"creating", "starting", "started"})

_EMPTY = "-"
"""Stands for the pool of empty sandboxes where others have a snapshot's id, which it never is."""


class PoolRow(msgspec.Struct, frozen=True):
    """A pool, and the id of its snapshot; empty for sandboxes without files."""

    pool: WarmPool
    template: str


class WarmPools:
    """Keeps pools full, and takes sandboxes from them.

    ``make`` creates a sandbox for the pool with an id.
    """

    def __init__(
        self,
        store: Store,
        context: Context,
        lifecycle: Lifecycle,
        templates: Templates,
        settings: LocalSettings,
        make: Callable[[CreateSandbox, str], Sandbox],
    ) -> None:
        self._store = store
        self._context = context
        self._lifecycle = lifecycle
        self._states = lifecycle.states
        self._templates = templates
        self._settings = settings
        self._make = make
        self._claims = Claims(lifecycle)
        self._filling = threading.Lock()
        self.table = store.table("warm-pool", PoolRow)

    def all(self) -> list[WarmPool]:
        """Return all pools, with the number of sandboxes that are ready in each."""
        return [self._counted(row.pool) for row in self.table.all()]

    def create(self, wanted: CreateWarmPool) -> WarmPool:
        """Create a pool and begin to fill it. Raises NameTaken, NoSuchResource."""
        template = self._template(wanted.snapshot)
        snapshot = self._templates.table.get(template)
        now = format_time()
        pool = WarmPool(
            id=str(uuid.uuid4()),
            snapshot=snapshot.name if snapshot else wanted.snapshot,
            target=wanted.target or "local",
            pool=wanted.pool,
            current_size=0,
            cpu=snapshot.cpu if snapshot else self._settings.cpu,
            mem=snapshot.mem if snapshot else self._settings.memory,
            disk=snapshot.disk if snapshot else self._settings.disk,
            os_user=self._lifecycle.services.isolation.user,
            created_at=now,
            updated_at=now,
        )
        # One pool for each snapshot: that is its name in the table.
        self.table.add(pool.id, template or _EMPTY, PoolRow(pool, template))
        self.fill_soon()
        return pool

    def update(self, identity: str, size: int) -> WarmPool:
        """Set the size of a pool. Raises NoSuchResource."""
        row = self._change(identity, pool=size, error_reason=None)
        self.fill_soon()
        return self._counted(row.pool)

    def delete(self, identity: str) -> None:
        """Remove a pool, and the sandboxes that wait in it. Raises NoSuchResource."""
        if self.table.get(identity) is None:
            raise NoSuchResource("no warm pool has this id")
        self.table.remove(identity)
        self.fill_soon()

    def claim(self, wanted: CreateSandbox, record: Record) -> Sandbox | None:
        """Return a sandbox from a pool, now as in ``record``; None if none is ready.

        Raises NameTaken.
        """
        # Fleets without pools, which most are, must not pay for them in each creation.
        rows = self.table.all()
        if not rows or not fits(wanted):
            return None
        try:
            template = self._template(wanted.snapshot)
        except NoSuchResource:
            return None  # The creation tells the client.
        pools = {row.pool.id for row in rows if row.template == template}
        claimed = self._claims.take(pools, wanted, record) if pools else None
        if pools:
            self.fill_soon()
        return claimed

    def noticed(self, event: Event) -> None:
        """Note what becomes of a sandbox that waits in a pool."""
        identity = event.sandbox.warm_pool_id
        if identity is None or event.kind != "state" or event.new != "error":
            return
        # Not at once again: what has failed may fail for ever.
        self._failed(identity, event.sandbox.error_reason or "a sandbox has failed")

    def fill_soon(self) -> None:
        """Begin to create what pools lack, and to delete what they have too much."""
        self._context.pool.submit(self._states.guard, "of a pool", self._fill)

    def _fill(self) -> None:
        with self._filling:
            # What is created now would be left half made, and deleted by the next start.
            if self._states.closing:
                return
            waiting = [one for one in self._states.table.all() if one.sandbox.warm_pool_id]
            for row in self.table.all():
                self._fill_one(row.pool, waiting)
            known = set(self.table.ids())
            # Here, not in `delete`: a sandbox may be created for the pool while that is removed.
            for record in waiting:
                if record.sandbox.warm_pool_id not in known:
                    self._drop(record)

    def _fill_one(self, pool: WarmPool, waiting: list[Record]) -> None:
        own = [one for one in waiting if one.sandbox.warm_pool_id == pool.id]
        for record in own:
            if record.sandbox.state not in COMING:
                self._drop(record)
        good = [one for one in own if one.sandbox.state in COMING]
        for record in good[pool.pool :]:
            self._drop(record)
        wanted = CreateSandbox(
            snapshot=pool.snapshot,
            # Nobody has asked for it yet, so it must not end for lack of activity.
            auto_stop_interval=0,
            auto_archive_interval=0,
            auto_delete_interval=-1,
        )
        try:
            for _ in range(pool.pool - len(good)):
                self._make(wanted, pool.id)
        except ToolboxError as error:
            self._failed(pool.id, error.message)

    def _drop(self, record: Record) -> None:
        """Delete a sandbox unless somebody has taken it meanwhile."""
        with self._states.lock:
            now = self._states.table.get(record.sandbox.id)
            if now is not None and now.sandbox.warm_pool_id:
                self._lifecycle.delete(record.sandbox.id)

    def _failed(self, identity: str, reason: str) -> None:
        try:
            self._change(identity, error_reason=reason)
        except NoSuchResource:
            return
        self._context.loop.call_soon(
            lambda: self._context.loop.call_later(RETRY, self.fill_soon) and None
        )

    def _template(self, name: str | None) -> str:
        """Return the id of a snapshot, empty for none. Raises NoSuchResource."""
        if not name:
            return ""
        snapshot = self._templates.find(name)
        return snapshot.id if self._templates.has_files(snapshot) else ""

    def _counted(self, pool: WarmPool) -> WarmPool:
        ready = sum(
            one.sandbox.warm_pool_id == pool.id and one.sandbox.state in READY
            for one in self._states.table.all()
        )
        return msgspec.structs.replace(pool, current_size=ready)

    def _change(self, identity: str, **fields: object) -> PoolRow:
        def change(row: PoolRow) -> PoolRow:
            pool = msgspec.structs.replace(row.pool, updated_at=format_time(), **fields)
            return msgspec.structs.replace(row, pool=pool)

        try:
            return self.table.change(identity, change)
        except KeyError:
            raise NoSuchResource("no warm pool has this id") from None


class WarmPoolAbility:
    """See :class:`toolbox_fleet.backend.HasWarmPools`."""

    _pools: WarmPools

    def warm_pools(self) -> Iterable[WarmPool]:
        return self._pools.all()

    def create_warm_pool(self, wanted: CreateWarmPool) -> WarmPool:
        return self._pools.create(wanted)

    def update_warm_pool(self, pool_id: str, size: int) -> WarmPool:
        return self._pools.update(pool_id, size)

    def delete_warm_pool(self, pool_id: str) -> None:
        self._pools.delete(pool_id)
