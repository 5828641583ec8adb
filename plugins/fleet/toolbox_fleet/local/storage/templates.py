"""The files of snapshots: read by the sandboxes that are made of them, removed after the last."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path

import msgspec

from toolbox.trees.attributes import Owner
from toolbox.trees.errors import described
from toolbox.trees.staging import Staging
from toolbox_fleet.errors import NameTaken
from toolbox_fleet.errors import NoSuchResource
from toolbox_fleet.errors import Refused
from toolbox_fleet.local.layout import Layout
from toolbox_fleet.local.metrics import disk_usage
from toolbox_fleet.local.records import Record
from toolbox_fleet.local.storage.defaults import Defaults
from toolbox_fleet.local.store import Store
from toolbox_fleet.local.store import Table
from toolbox_fleet.models.snapshots import Snapshot
from toolbox_fleet.models.snapshots import SnapshotState
from toolbox_fleet.times import format_time

KIND = "snapshots"
GIB = 1024**3


class Templates:
    """The snapshots and their directories.

    A deleted one is unknown at once. Its directory stays as long as a sandbox that was created
    before has still to be filled from it.
    """

    def __init__(
        self,
        store: Store,
        layout: Layout,
        staging: Staging,
        records: Table[Record],
        pool: Executor,
        defaults: Defaults,
    ) -> None:
        self.layout = layout
        self._staging = staging
        self._records = records
        self._pool = pool
        self._defaults = defaults
        self.table = store.table("snapshot", Snapshot)
        self._lock = threading.Lock()
        self.gone: list[Callable[[str], None]] = []
        """Called with the id of a snapshot that was deleted."""
        self._lent: dict[str, set[str]] = {}
        """Ids of the sandboxes that are still to be filled, by that of the snapshot."""

    def find(self, key: str) -> Snapshot:
        """Return a snapshot by id or name. Raises NoSuchResource."""
        snapshot = self.table.find(key) or self._defaults.find(key)
        if snapshot is None:
            raise NoSuchResource(f"no snapshot has the id or name {key!r}")
        return snapshot

    def all(self) -> list[Snapshot]:
        """Return all snapshots, in any order."""
        return [*self._defaults.all, *self.table.all()]

    def has_files(self, snapshot: Snapshot) -> bool:
        """Report whether sandboxes made of a snapshot begin with its files."""
        return self._defaults.find(snapshot.id) is None

    def add(self, snapshot: Snapshot) -> None:
        """Store a snapshot that is about to be made. Raises NameTaken."""
        if self._defaults.find(snapshot.name) is not None:
            raise NameTaken(f"{snapshot.name!r} is the name of a snapshot without files")
        self.table.add(snapshot.id, snapshot.name, snapshot)

    def grow(self, snapshot: Snapshot, files: Path, check: Callable[[], None]) -> None:
        """Copy the files of a snapshot. Raises TreeError and what ``check`` raises."""
        place = self._place(snapshot.id)
        self.layout.make(place.parent)
        work = self._staging.copy(files, place, check)
        try:
            self._change(snapshot.id, state="active", size=round(work.bytes / GIB, 6))
        except KeyError:
            self._staging.discard(place)  # Deleted at the last moment.

    @contextlib.contextmanager
    def growing(self, identity: str) -> Iterator[tuple[Path, Path]]:
        """Give an empty directory for the files of a snapshot, and one for all else that the block
        needs. Raises TreeError.
        """
        place = self._place(identity)
        with described("can't keep the files"), self._staging.scratch() as work:
            self.layout.make(place.parent)
            with self._staging.growing(place) as files:
                # Inside it is `/`, which every user may enter.
                files.mkdir(0o755)
                yield files, work
        try:
            self._change(identity, state="active", size=round(disk_usage(place) / GIB, 6))
        except KeyError:
            self._staging.discard(place)  # Deleted at the last moment.

    def fail(self, identity: str, reason: str, state: SnapshotState = "error") -> None:
        """Note that a snapshot can't be made, unless it was deleted."""
        try:
            self._change(identity, state=state, error_reason=reason)
        # Deleted meanwhile, so nobody asks for the reason.
        except KeyError:
            pass

    def fail_all_of(self, sandbox_id: str, reason: str) -> None:
        """Note that those snapshots of a sandbox that are not made yet can't be made."""
        for snapshot in self.table.all():
            if (snapshot.source_sandbox_id, snapshot.state) == (sandbox_id, "snapshotting"):
                self.fail(snapshot.id, reason)

    def is_gone(self, snapshot: Snapshot) -> bool:
        """Report whether a snapshot was deleted."""
        return self.table.get(snapshot.id) is None

    def lend(self, snapshot: Snapshot, sandbox_id: str) -> None:
        """Keep the files of a snapshot until the sandbox has given them back."""
        with self._lock:
            self._lent.setdefault(snapshot.id, set()).add(sandbox_id)
        self._change(snapshot.id, last_used_at=format_time())

    def fill(
        self, record: Record, files: Path, check: Callable[[], None], owner: Owner | None
    ) -> None:
        """Copy a snapshot's files into those of a new sandbox.

        Raises TreeError and what ``check`` raises.
        """
        self._staging.copy(self._place(record.template), files, check, owner)
        self.give_back(record.template, record.sandbox.id)

    def give_back(self, identity: str, sandbox_id: str) -> None:
        """End a loan; the files of a deleted snapshot go with the last."""
        with self._lock:
            self._lent.get(identity, set()).discard(sandbox_id)
        if self.table.get(identity) is None:
            # It was deleted while this one was still to be filled, and this may have been the last.
            self._discard(identity)

    def delete(self, key: str) -> None:
        """Forget a snapshot; its files go behind. Raises NoSuchResource, Refused."""
        snapshot = self.find(key)
        if not self.has_files(snapshot):
            raise Refused(f"{snapshot.name!r} is one of [fleet.local] default_snapshots")
        self.table.remove(snapshot.id)
        for forget in self.gone:
            forget(snapshot.id)
        # In the background: a large tree takes longer than clients wait for a response.
        self._pool.submit(self._discard, snapshot.id)

    def _discard(self, identity: str) -> None:
        with self._lock:
            # A creation that was refused, say for its name, has given nothing back.
            users = {one for one in self._lent.get(identity, ()) if self._records.get(one)}
            self._lent[identity] = users
            if users:
                return
            del self._lent[identity]
        self._staging.discard(self._place(identity))

    def recover(self) -> None:
        """After a restart: lend again, note what was interrupted, remove what nobody needs."""
        for record in self._records.all():
            if record.template and record.empty:
                self._lent.setdefault(record.template, set()).add(record.sandbox.id)
        for snapshot in self.table.all():
            if snapshot.state == "snapshotting":
                self.fail(snapshot.id, "the service ended while it was made")
        known = {snapshot.id for snapshot in self.table.all()}
        for identity in self.layout.present(KIND) - known:
            self._discard(identity)

    def _place(self, identity: str) -> Path:
        return self.layout.place(KIND, identity)

    def _change(self, identity: str, **fields: object) -> None:
        fields.setdefault("updated_at", format_time())
        self.table.change(identity, lambda row: msgspec.structs.replace(row, **fields))
