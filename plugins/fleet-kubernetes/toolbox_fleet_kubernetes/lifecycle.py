"""Starting, stopping, deleting and changing sandboxes, by changes of their objects."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from toolbox_fleet.errors import NoSuchSandbox
from toolbox_fleet.errors import WrongState
from toolbox_fleet.models.sandboxes import Sandbox

from toolbox_fleet_kubernetes.cache.cluster import Cluster
from toolbox_fleet_kubernetes.cache.entries import Entry
from toolbox_fleet_kubernetes.cache.feeds import Feeds
from toolbox_fleet_kubernetes.client.connection import Connection
from toolbox_fleet_kubernetes.client.errors import NotThere
from toolbox_fleet_kubernetes.client.errors import Outdated
from toolbox_fleet_kubernetes.client.kinds import POD
from toolbox_fleet_kubernetes.client.kinds import SANDBOX
from toolbox_fleet_kubernetes.client.kinds import SECRET
from toolbox_fleet_kubernetes.client.kinds import Claim
from toolbox_fleet_kubernetes.client.kinds import Secret
from toolbox_fleet_kubernetes.client.kinds import kind_of
from toolbox_fleet_kubernetes.client.retrying import attempts
from toolbox_fleet_kubernetes.lookup import Lookup
from toolbox_fleet_kubernetes.objects import manifests
from toolbox_fleet_kubernetes.objects.names import ARCHIVED
from toolbox_fleet_kubernetes.objects.names import RECORD
from toolbox_fleet_kubernetes.objects.names import is_selectable
from toolbox_fleet_kubernetes.objects.records import Record
from toolbox_fleet_kubernetes.objects.records import decode
from toolbox_fleet_kubernetes.objects.states import RUNNING
from toolbox_fleet_kubernetes.objects.states import SUSPENDED
from toolbox_fleet_kubernetes.preparing import Preparer

CHANGES = 64
"""Changes of records that are made at once, each of other sandboxes."""


class Lifecycle:
    """Changes sandboxes. *Any thread.*"""

    def __init__(
        self, connection: Connection, cluster: Cluster, feeds: Feeds, preparer: Preparer
    ) -> None:
        self._connection = connection
        self._lookup = Lookup(connection, cluster, feeds)
        self._cluster = cluster
        self._feeds = feeds
        self._preparer = preparer
        self._changing = [threading.Lock() for _ in range(CHANGES)]
        self.ending: Callable[[Entry], None] = lambda entry: None
        """Called before a sandbox is deleted."""

    def entry(self, key: str) -> Entry:
        """Return a sandbox by id or name. Raises NoSuchSandbox."""
        entry = self._lookup.sandbox(key)
        if entry is None:
            # Clients look for "not found".
            raise NoSuchSandbox("sandbox not found: none has this id or name")
        return entry

    def fresh(self, key: str) -> Entry:
        """Return a sandbox as it is now: another replica may have started or stopped it a moment
        ago, of which our watch has not told yet. Raises NoSuchSandbox.
        """
        entry = self.entry(key)
        if (sandbox := entry.objects.sandbox) is not None:
            # What the claim of a sandbox has lost, it gets again.
            with suppress(NotThere):
                now = self._connection.get(SANDBOX, sandbox.metadata.name)
                self._feeds.sandboxes.put(now)
        return entry

    def start(self, key: str) -> Sandbox:
        """Let a sandbox run. Raises NoSuchSandbox, WrongState."""
        entry = self.fresh(key)
        state = entry.view.state
        if state in ("started", "starting"):
            return entry.view
        if state not in ("stopped", "stopping", "archived"):
            raise WrongState(f"the sandbox is {state}")
        self._preparer.expect(entry.record.id)
        return self._set_mode(entry, RUNNING)

    def stop(self, key: str, force: bool) -> Sandbox:
        """End the pod of a sandbox. Raises NoSuchSandbox, WrongState."""
        entry = self.fresh(key)
        state = entry.view.state
        if state in ("stopped", "stopping"):
            return entry.view
        if state not in ("started", "starting", "error"):
            raise WrongState(f"the sandbox is {state}")
        view = self._set_mode(entry, SUSPENDED)
        if force and (pod := entry.objects.pod) is not None:
            # Its controller would wait for the pod's own grace period.
            self._connection.delete(POD, pod.metadata.name, pod.metadata.uid, grace=0)
        return view

    def archive(self, key: str) -> Sandbox:
        """Note that a stopped sandbox is archived. Raises NoSuchSandbox, WrongState."""
        entry = self.fresh(key)
        state = entry.view.state
        if state == "archived":
            return entry.view
        if state != "stopped":
            raise WrongState(f"the sandbox is {state}, and only a stopped one can be archived")
        return self._change_sandbox(entry, {"metadata": {"annotations": {ARCHIVED: "true"}}})

    def _set_mode(self, entry: Entry, mode: str) -> Sandbox:
        change = {"metadata": {"annotations": {ARCHIVED: None}}, "spec": {"operatingMode": mode}}
        return self._change_sandbox(entry, change)

    def _change_sandbox(self, entry: Entry, change: dict[str, Any]) -> Sandbox:
        sandbox = entry.objects.sandbox
        if sandbox is None:
            raise WrongState(f"the sandbox is {entry.view.state}, and has no pod yet")
        with there():
            changed = self._connection.merge(SANDBOX, sandbox.metadata, change)
        self._feeds.sandboxes.put(changed)
        return entry.view

    def recover(self, key: str, skip_start: bool) -> Sandbox:
        """Give a sandbox in the state ``error`` another pod, or none. Raises as :meth:`start`."""
        entry = self.fresh(key)
        done = ("stopped", "stopping") if skip_start else ("started", "starting")
        if entry.view.state in done:
            return entry.view
        if entry.view.state != "error":
            raise WrongState(f"the sandbox is {entry.view.state}")
        if skip_start:
            return self._set_mode(entry, SUSPENDED)
        self._preparer.expect(entry.record.id)
        if (pod := entry.objects.pod) is not None:
            self._connection.delete(POD, pod.metadata.name, pod.metadata.uid, grace=0)
        return self._set_mode(entry, RUNNING)

    def delete(self, key: str) -> Sandbox:
        """Delete all objects of a sandbox. Raises NoSuchSandbox."""
        entry = self.entry(key)
        primary, secret = entry.objects.primary, entry.secret
        kind = kind_of(primary)
        self.ending(entry)
        with there():
            self._connection.delete(kind, primary.metadata.name, primary.metadata.uid)
        # Before the Secret: whoever asks in between must not find it started.
        self._cluster.touch(entry.record.id, deleting=True)
        self.forget_secret(secret)
        return msgspec.structs.replace(entry.view, state="destroying", desired_state="destroyed")

    def forget_secret(self, secret: Secret) -> None:
        """Delete a Secret whose sandbox is gone: with it, its name is free."""
        with there():
            self._connection.delete(SECRET, secret.metadata.name, secret.metadata.uid)

    def change(
        self,
        key: str,
        change: Callable[[Record], Record],
        more: Callable[[bool, Record], dict[str, Any]] = lambda is_claim, record: {},
    ) -> Sandbox:
        """Change the record of a sandbox; ``more`` returns what else of its object changes.

        Others may change it at the same time: what they have changed stays.
        """
        identity = self.entry(key).record.id
        # One after the other, so that only other replicas can be in the way.
        with self._changing[hash(identity) % CHANGES]:
            self._change(self.entry(identity), change, more)
        return self.entry(identity).view

    def _change(
        self,
        entry: Entry,
        change: Callable[[Record], Record],
        more: Callable[[bool, Record], dict[str, Any]],
    ) -> None:
        primary = entry.objects.primary
        is_claim, kind = isinstance(primary, Claim), kind_of(primary)
        for _ in attempts():
            # From what it is now, not from what it was when the client asked.
            record = change(decode(primary.metadata.annotations.get(RECORD, "")) or entry.record)
            labels = [one for one in primary.metadata.labels if is_selectable(one)]
            body = manifests.metadata_change(
                record, labels, primary.metadata.resourceVersion
            ) | more(is_claim, record)
            with there():
                try:
                    changed = self._connection.patch(kind, primary.metadata.name, body)
                    self._feeds.put_primary(changed)
                    return
                except Outdated:
                    primary = self._connection.get(kind, primary.metadata.name)


class there:
    """Raise NoSuchSandbox for an object that is gone."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, NotThere):
            raise NoSuchSandbox("sandbox not found: it has just been deleted") from None
