"""Snapshots: the files of sandboxes, as templates for others."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from collections.abc import Iterable
from pathlib import Path

import msgspec

from toolbox_fleet.errors import InvalidValue
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.errors import WrongState
from toolbox_fleet.local.lifecycle import Lifecycle
from toolbox_fleet.local.records import Record
from toolbox_fleet.local.states import Transition
from toolbox_fleet.local.storage.images import Images
from toolbox_fleet.local.storage.quiet import QUIET
from toolbox_fleet.local.storage.quiet import quiet
from toolbox_fleet.local.storage.quiet import until
from toolbox_fleet.local.storage.templates import Templates
from toolbox_fleet.local.supplies import Supply
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import NewSnapshot
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.models.snapshots import CreateSnapshot
from toolbox_fleet.models.snapshots import Snapshot
from toolbox_fleet.names import check_name
from toolbox_fleet.times import format_time

log = logging.getLogger("toolbox")


class Snapshots(Supply):
    """Takes snapshots, and gives sandboxes the files of one."""

    def __init__(self, lifecycle: Lifecycle, templates: Templates) -> None:
        self._lifecycle = lifecycle
        self._states = lifecycle.states
        self._templates = templates

    def take(self, key: str, wanted: NewSnapshot) -> Sandbox:
        """Begin to copy a sandbox's files into a new snapshot.

        Raises NoSuchSandbox, NameTaken, InvalidValue, WrongState, Unsupported.
        """
        check_name(wanted.name)
        if wanted.include_memory:
            raise Unsupported("the memory of programs can't be kept; leave includeMemory out")
        # One step for others: two snapshots of a sandbox at once would both find it quiet, and
        # the second would store `snapshotting` as the state to go back to.
        with self._states.lock:
            record = self._states.record(key)
            state = record.sandbox.state
            if state not in QUIET:
                raise WrongState(f"the sandbox is {state}")
            snapshot = _new(wanted.name, record.sandbox)
            self._templates.add(snapshot)
            changed = self._states.store(record.sandbox.id, "snapshotting")
        # Back to its former state, whatever becomes of the snapshot, which has its own.
        way = Transition(frozenset(), "snapshotting", state, None, state)
        started = state == "started"
        self._states.submit(changed, way, lambda now: self._take(now, snapshot, started))
        return changed.sandbox

    def _take(self, record: Record, snapshot: Snapshot, started: bool) -> None:
        canceled = until(
            lambda: self._lifecycle.is_canceled(record) or self._templates.is_gone(snapshot)
        )
        files = self._templates.layout.sandbox(record.sandbox.id).files
        try:
            with quiet(self._lifecycle.services, record, started):
                self._templates.grow(snapshot, files, canceled)
        # Not only OSError: a snapshot left in `snapshotting` would make its client wait for ever.
        except Exception as error:
            log.info("snapshot %s failed: %s", snapshot.id, error)
            self._templates.fail(snapshot.id, str(error) or type(error).__name__)

    def continue_snapshotting(self, record: Record) -> None:
        """Bring a sandbox back to its former state after a restart; the snapshot has failed."""
        identity, running = record.sandbox.id, record.running
        if running is None:
            self._states.store(identity, "stopped")
        elif not self._lifecycle.services.is_alive(running):
            self._lifecycle.died(identity, running)
        else:
            paused = record.sandbox.desired_state == "paused"
            # Killed within the copy, the control plane couldn't resume what it had suspended.
            if not paused:
                self._lifecycle.services.resume(running, identity)
            self._lifecycle.watch(identity)
            self._states.store(identity, "paused" if paused else "started")

    def check(self, wanted: CreateSandbox, record: Record) -> Record:
        if wanted.snapshot is None:
            return record
        snapshot = self._templates.find(wanted.snapshot)
        sandbox = msgspec.structs.replace(record.sandbox, snapshot=snapshot.name)
        if not self._templates.has_files(snapshot):
            return msgspec.structs.replace(record, sandbox=sandbox)
        if snapshot.state != "active":
            raise InvalidValue(f"the snapshot {snapshot.name!r} is {snapshot.state}")
        # Before the record is stored: a deletion in between would take the files away.
        self._templates.lend(snapshot, sandbox.id)
        sandbox = msgspec.structs.replace(
            sandbox,
            cpu=wanted.cpu or snapshot.cpu,
            memory=wanted.memory or snapshot.mem,
            disk=wanted.disk or snapshot.disk,
        )
        return msgspec.structs.replace(record, sandbox=sandbox, template=snapshot.id, empty=True)

    def fill(self, record: Record, files: Path, canceled: Callable[[], bool]) -> None:
        if record.template:
            owner = self._lifecycle.services.isolation.owner(record.uid)
            self._templates.fill(record, files, until(canceled), owner)

    def gone(self, record: Record) -> None:
        if record.template:
            self._templates.give_back(record.template, record.sandbox.id)
        # Those whose copies had not begun; nothing else ends them.
        self._templates.fail_all_of(record.sandbox.id, "the sandbox was deleted")


def _new(name: str, sandbox: Sandbox) -> Snapshot:
    now, identity = format_time(), str(uuid.uuid4())
    return Snapshot(
        id=identity,
        name=name,
        state="snapshotting",
        cpu=sandbox.cpu,
        mem=sandbox.memory,
        disk=sandbox.disk,
        created_at=now,
        updated_at=now,
        source_sandbox_id=sandbox.id,
        ref=identity,
    )


class SnapshotAbility:
    """See :class:`toolbox_fleet.backend.HasSnapshots`."""

    _snapshots: Snapshots
    _images: Images
    _templates: Templates

    def snapshots(self) -> Iterable[Snapshot]:
        return self._templates.all()

    def snapshot(self, key: str) -> Snapshot:
        return self._templates.find(key)

    def create_snapshot(self, wanted: CreateSnapshot) -> Snapshot:
        check_name(wanted.name)
        return self._images.create(wanted)

    def delete_snapshot(self, key: str) -> None:
        self._templates.delete(key)

    def take_snapshot(self, key: str, wanted: NewSnapshot) -> Sandbox:
        return self._snapshots.take(key, wanted)
