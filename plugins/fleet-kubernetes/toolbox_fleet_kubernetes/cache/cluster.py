"""The sandboxes of a namespace: what all of their objects say together.

Every replica of the control plane has the whole of it, by its own watches, and tells its own
clients of the changes. Our own writes are noted when they succeed, so that whoever has changed
something sees that it has changed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Iterable

import msgspec
from toolbox_fleet.models.events import Event
from toolbox_fleet.models.events import changes
from toolbox_fleet.models.sandboxes import Sandbox

from toolbox.linux.clock import awake
from toolbox.sockets.loop import Loop
from toolbox_fleet_kubernetes.cache.entries import Entry
from toolbox_fleet_kubernetes.cache.entries import environment_of
from toolbox_fleet_kubernetes.cache.objects import Shelf
from toolbox_fleet_kubernetes.client.kinds import Claim
from toolbox_fleet_kubernetes.client.kinds import Pod
from toolbox_fleet_kubernetes.client.kinds import SandboxObject
from toolbox_fleet_kubernetes.client.kinds import Secret
from toolbox_fleet_kubernetes.client.kinds import Template
from toolbox_fleet_kubernetes.client.kinds import WarmPoolObject
from toolbox_fleet_kubernetes.client.parts import Meta
from toolbox_fleet_kubernetes.objects.blueprints import amounts
from toolbox_fleet_kubernetes.objects.names import ID
from toolbox_fleet_kubernetes.objects.names import OWNER
from toolbox_fleet_kubernetes.objects.names import RECORD
from toolbox_fleet_kubernetes.objects.names import is_id
from toolbox_fleet_kubernetes.objects.names import object_name
from toolbox_fleet_kubernetes.objects.records import Record
from toolbox_fleet_kubernetes.objects.records import decode
from toolbox_fleet_kubernetes.objects.records import to_sandbox
from toolbox_fleet_kubernetes.objects.states import Objects
from toolbox_fleet_kubernetes.objects.states import Observed
from toolbox_fleet_kubernetes.objects.states import observe
from toolbox_fleet_kubernetes.objects.states import overdue


class Cluster:
    """The sandboxes of the control plane ``owner``. *Any thread.*

    ``report`` is told of each change of a sandbox, ``noticed`` of each sandbox about which
    something new is known, ``orphaned`` of a Secret without a sandbox; all under the lock, so they
    must not wait.
    """

    def __init__(self, owner: str, loop: Loop, patience: float) -> None:
        self._owner = owner
        self._loop = loop
        self._patience = patience
        self.lock = threading.RLock()
        self._shown = threading.Condition(self.lock)
        self.report: Callable[[Event], None] = lambda event: None
        self.noticed: Callable[[Entry], None] = lambda entry: None
        self.orphaned: Callable[[Secret], None] = lambda secret: None
        self.is_synced: Callable[[], bool] = lambda: False
        self.secrets: Shelf[Secret] = Shelf(lambda one: self._own_id(one.metadata))
        self.claims: Shelf[Claim] = Shelf(lambda one: self._own_id(one.metadata))
        self.sandboxes: Shelf[SandboxObject] = Shelf(self._id_of_sandbox)
        self.pods: Shelf[Pod] = Shelf(_sandbox_of_pod)
        self.templates: Shelf[Template] = Shelf(lambda one: one.metadata.name)
        self.pools: Shelf[WarmPoolObject] = Shelf(lambda one: one.metadata.name)
        self._entries: dict[str, Entry] = {}
        self._ids: dict[str, str] = {}
        """Ids by name."""

    def _own_id(self, metadata: Meta) -> str | None:
        labels = metadata.labels
        return labels.get(ID) if labels.get(OWNER) == self._owner else None

    def _id_of_sandbox(self, sandbox: SandboxObject) -> str | None:
        """Return the id of a Sandbox: it is our own, or that of one of our claims."""
        if (identity := self._own_id(sandbox.metadata)) is not None:
            return identity
        owner = sandbox.metadata.controller
        if owner is None or owner.kind != "SandboxClaim":
            return None  # It waits in a pool, or is none of our business.
        identity = owner.name.removeprefix(object_name(""))
        return identity if is_id(identity) else None

    def ids_of_sandboxes(self, names: Iterable[str]) -> set[str]:
        """Return the ids of the Sandboxes with these names."""
        found = [self.sandboxes.get(name) for name in names]
        return {key for one in found if one is not None and (key := self._id_of_sandbox(one))}

    def get(self, key: str) -> Entry | None:
        """Return a sandbox by id or name."""
        with self.lock:
            return self._entries.get(key) or self._entries.get(self._ids.get(key, ""))

    def entries(self) -> list[Entry]:
        """Return all sandboxes."""
        with self.lock:
            return list(self._entries.values())

    def views(self) -> list[Sandbox]:
        """Return all sandboxes as clients see them."""
        with self.lock:
            return [entry.view for entry in self._entries.values()]

    def refresh(self, ids: Iterable[str]) -> None:
        """Look at sandboxes again. Under the lock."""
        if self.is_synced():
            for identity in ids:
                self._refresh(identity)

    def refresh_all(self) -> None:
        """Look at everything for the first time; nobody is told."""
        with self.lock:
            found = {key for one in self.claims if (key := self._own_id(one.metadata))}
            found |= {key for one in self.sandboxes if (key := self._id_of_sandbox(one))}
            found |= {key for one in self.secrets if (key := self._own_id(one.metadata))}
            for identity in found:
                self._refresh(identity, quietly=True)

    def touch(self, identity: str, *, deleting: bool = False, trouble: str | None = None) -> None:
        """Note something about a sandbox that no object says."""
        with self.lock:
            if (entry := self._entries.get(identity)) is not None:
                entry.deleting = entry.deleting or deleting
                entry.trouble = entry.trouble if trouble is None else trouble
                self._refresh(identity)

    def _refresh(self, identity: str, quietly: bool = False) -> None:
        entry = self._entries.get(identity)
        secret = next(iter(self.secrets.of(identity)), None)
        objects = self._objects(identity)
        if objects is None:
            self._without_object(identity, entry, secret)
        elif entry is not None:
            self._update(entry, objects, secret)
        elif secret is not None and (entry := _new_entry(objects, secret)) is not None:
            self._add(entry, quietly)

    def has_object(self, secret: Secret) -> bool:
        """Report whether the sandbox of a Secret has more than that. Under the lock."""
        return self._objects(secret.metadata.labels.get(ID, "")) is not None

    def _objects(self, identity: str) -> Objects | None:
        """Return the objects of a sandbox, None if it has none but perhaps a Secret."""
        found = self.sandboxes.of(identity)
        claim = next(iter(self.claims.of(identity)), None)
        if claim is None:
            own = [one for one in found if self._own_id(one.metadata)]
            return self._with_pod(own[0], own[0]) if own else None
        uid = claim.metadata.uid
        its = [one for one in found if (by := one.metadata.controller) and by.uid == uid]
        return self._with_pod(claim, its[0] if its else None)

    def _with_pod(self, primary: Claim | SandboxObject, sandbox: SandboxObject | None) -> Objects:
        if sandbox is None:
            return Objects(primary, None, None)
        uid, name = sandbox.metadata.uid, sandbox.metadata.name
        pods = [p for p in self.pods.of(name) if (by := p.metadata.controller) and by.uid == uid]
        # While one is being replaced, the one that stays.
        pods.sort(key=lambda pod: pod.metadata.deletion_timestamp is not None)
        return Objects(primary, sandbox, pods[0] if pods else None)

    def _add(self, entry: Entry, quietly: bool) -> None:
        record = entry.record
        self._entries[record.id] = entry
        self._ids[record.name] = record.id
        entry.view = self._view(entry)
        if not quietly:
            self.report(Event(kind="created", sandbox=entry.view, new=entry.view.state))
        self.noticed(entry)

    def _update(self, entry: Entry, objects: Objects, secret: Secret | None) -> None:
        entry.objects = objects
        text = objects.primary.metadata.annotations.get(RECORD, "")
        if text != entry.annotation and (record := decode(text)) is not None:
            entry.annotation, entry.record = text, record
        if secret is not None and secret is not entry.secret:
            entry.secret = secret
            entry.env = environment_of(secret)
        self._show(entry, self._view(entry))
        self.noticed(entry)

    def _without_object(self, identity: str, entry: Entry | None, secret: Secret | None) -> None:
        # Its creation is going on, was cut short, or it has been deleted: the janitor finds out.
        if secret is not None:
            self.orphaned(secret)
        if entry is None:
            return
        entry.deleting = True
        self._show(entry, self._view(entry))
        # Its name is free when its Secret is gone, so until then it isn't.
        if secret is None:
            del self._entries[identity]
            self._ids.pop(entry.record.name, None)
            self._stop_waiting(entry)
            gone = Observed("destroyed", "destroyed")
            self._show(entry, _shown(entry, gone))

    def _view(self, entry: Entry) -> Sandbox:
        if entry.deleting:
            return _shown(entry, Observed("destroying", "destroyed"))
        observed = observe(entry.objects)
        if observed.coming:
            reason = entry.trouble or observed.reason
            observed = self._waited(entry, observed._replace(reason=reason))
        else:
            self._stop_waiting(entry)
        return _shown(entry, observed)

    def _waited(self, entry: Entry, observed: Observed) -> Observed:
        now = awake()
        if not entry.coming_since:
            entry.coming_since = now
            identity = entry.record.id
            entry.timer = self._loop.call_later(self._patience, lambda: self.touch(identity))
        is_late = now - entry.coming_since >= self._patience
        return overdue(observed) if is_late else observed

    # For a sandbox that is replaced while it runs, the patience begins anew.
    def _stop_waiting(self, entry: Entry) -> None:
        entry.coming_since = 0.0
        if entry.timer is not None:
            entry.timer.cancel()
            entry.timer = None

    def _show(self, entry: Entry, new: Sandbox) -> None:
        """Keep what clients see from now on, and tell of the difference."""
        old, entry.view = entry.view, new
        for event in changes(old, new):
            self.report(event)
        if old.state != new.state:
            self._shown.notify_all()

    def wait_until_made(self, identity: str, timeout: float) -> None:
        """Wait until a sandbox is no longer being created, or for ``timeout``."""
        with self._shown:
            self._shown.wait_for(lambda: not self._is_being_made(identity), timeout)

    def _is_being_made(self, identity: str) -> bool:
        entry = self._entries.get(identity)
        return entry is not None and entry.view.state == "creating"

    def close(self) -> None:
        """Cancel all timers."""
        with self.lock:
            for entry in self._entries.values():
                self._stop_waiting(entry)


def _sandbox_of_pod(pod: Pod) -> str | None:
    owner = pod.metadata.controller
    return owner.name if owner is not None and owner.kind == "Sandbox" else None


def _new_entry(objects: Objects, secret: Secret) -> Entry | None:
    text = objects.primary.metadata.annotations.get(RECORD, "")
    record = decode(text)
    if record is None or record.id != secret.metadata.labels.get(ID):
        return None  # It isn't as we write it: somebody else's, in spite of its labels.
    env = environment_of(secret)
    view = to_sandbox(record, env, "unknown", "started")
    return Entry(objects, secret, text, record, env, view)


def _shown(entry: Entry, observed: Observed) -> Sandbox:
    state, desired, since = observed.state, observed.desired, observed.since
    record = _as_it_is(entry.record, entry.objects.sandbox)
    return to_sandbox(record, entry.env, state, desired, since=since, reason=observed.reason)


def _as_it_is(record: Record, sandbox: SandboxObject | None) -> Record:
    """Return a record with the sizes of the Sandbox: a resize may have been cut short."""
    containers = sandbox.spec.pod_template.spec.containers if sandbox is not None else []
    if not containers:
        return record
    cpu, memory, disk = amounts(containers[0].resources)
    return msgspec.structs.replace(record, cpu=cpu, memory=memory, disk=disk)
