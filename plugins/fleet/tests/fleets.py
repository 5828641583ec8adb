"""A fleet whose sandboxes are records: the smallest backend that keeps the Protocol."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable
from typing import Any

import msgspec
from toolbox_fleet.errors import NameTaken
from toolbox_fleet.errors import NoSigningKey
from toolbox_fleet.errors import NoSuchSandbox
from toolbox_fleet.errors import WrongState
from toolbox_fleet.models.addresses import Upstream
from toolbox_fleet.models.events import Event
from toolbox_fleet.models.sandboxes import Changes
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.plane import Plane
from toolbox_fleet.times import format_time

from toolbox.lifecycle import Context
from toolbox.plugins import NoSettings


class RecordFleet:
    """See :class:`toolbox_fleet.backend.FleetBackend`.

    ``addresses`` are those of the sandboxes' own services, for tests that have some.
    """

    def __init__(self, settings: NoSettings, context: Context) -> None:
        self._lock = threading.RLock()
        self._records: dict[str, Sandbox] = {}
        self.addresses: dict[str, Upstream] = {}
        self.plane = Plane(self, context)

    def create(self, wanted: CreateSandbox) -> Sandbox:
        sandbox = record(wanted)
        with self._lock:
            for one in self._records.values():
                if sandbox.name in (one.id, one.name):
                    raise NameTaken("another sandbox has this name")
            self._records[sandbox.id] = sandbox
            self.plane.report(Event(kind="created", sandbox=sandbox))
        self._move(sandbox.id, "started")
        return sandbox

    def sandbox(self, key: str) -> Sandbox:
        with self._lock:
            for one in self._records.values():
                if key in (one.id, one.name):
                    return one
        raise NoSuchSandbox("sandbox not found: none has this id or name")

    def sandboxes(self) -> Iterable[Sandbox]:
        with self._lock:
            return list(self._records.values())

    def start(self, key: str) -> Sandbox:
        return self._go(key, "started", "starting", ("stopped", "archived", "paused"))

    def stop(self, key: str, force: bool) -> Sandbox:
        return self._go(key, "stopped", "stopping", ("started",))

    def pause(self, key: str) -> Sandbox:
        return self._go(key, "paused", "pausing", ("started",))

    def archive(self, key: str) -> Sandbox:
        return self._go(key, "archived", "archiving", ("stopped",))

    def delete(self, key: str) -> Sandbox:
        sandbox = self._move(self.sandbox(key).id, "destroying", desired_state="destroyed")
        self._move(sandbox.id, "destroyed")
        with self._lock:
            self._records.pop(sandbox.id, None)
        return sandbox

    def change(self, key: str, changes: Changes) -> Sandbox:
        with self._lock:
            sandbox = self.sandbox(key)
            changed = msgspec.structs.replace(sandbox, **changes.made())
            self._records[sandbox.id] = changed
            return changed

    def upstream(self, key: str) -> Upstream:
        sandbox = self.sandbox(key)
        if sandbox.state != "started" or sandbox.id not in self.addresses:
            raise WrongState("the sandbox is not running")
        return self.addresses[sandbox.id]

    def signing_key(self, key: str) -> str:
        self.sandbox(key)
        raise NoSigningKey("records have no key")

    def close(self) -> None:
        self.plane.close()

    def _go(self, key: str, end: str, way: str, allowed: tuple[str, ...]) -> Sandbox:
        with self._lock:
            sandbox = self.sandbox(key)
            if sandbox.state in (end, way):
                return sandbox
            if sandbox.state not in allowed:
                raise WrongState(f"the sandbox is {sandbox.state}")
            moved = self._move(sandbox.id, way, desired_state=end)
        self._move(sandbox.id, end)
        return moved

    def _move(self, sandbox_id: str, state: str, **more: Any) -> Sandbox:
        with self._lock:
            old = self.sandbox(sandbox_id)
            new = msgspec.structs.replace(old, state=state, updated_at=format_time(), **more)
            self._records[sandbox_id] = new
            if new.desired_state != old.desired_state:
                self._tell("desired-state", new, old.desired_state, new.desired_state)
            self._tell("state", new, old.state, new.state)
            return new

    def _tell(self, kind: Any, sandbox: Sandbox, old: str, new: str) -> None:
        self.plane.report(Event(kind=kind, sandbox=sandbox, old=old, new=new))


def record(wanted: CreateSandbox) -> Sandbox:
    """Return the first record of a sandbox."""
    now, sandbox_id = format_time(), str(uuid.uuid4())
    pause, delete = wanted.auto_pause_interval or 0, wanted.auto_delete_interval
    return Sandbox(
        id=sandbox_id,
        name=wanted.name or sandbox_id,
        toolbox_proxy_url="",
        user="root",
        cpu=1,
        memory=1,
        disk=1,
        gpu=0,
        created_at=now,
        updated_at=now,
        organization_id="local",
        target="local",
        state="creating",
        desired_state="started",
        env=wanted.env or {},
        labels=wanted.labels or {},
        public=bool(wanted.public),
        network_block_all=False,
        kvm=False,
        auto_stop_interval=wanted.auto_stop_interval or 0,
        auto_archive_interval=wanted.auto_archive_interval or 0,
        auto_delete_interval=-1 if delete is None else delete,
        auto_pause_interval=pause,
        daemon_version="v0",
    )
