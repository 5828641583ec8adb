"""Secrets: values in Secrets of the cluster, which only the sandboxes that name them get.

A sandbox gets them with its environment when its pod starts. A value is in no response and no log.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from contextlib import suppress

import msgspec
from toolbox_fleet.errors import InUse
from toolbox_fleet.errors import NameTaken
from toolbox_fleet.errors import NoSuchResource
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.models.secrets import CreateSecret
from toolbox_fleet.models.secrets import Secret
from toolbox_fleet.models.secrets import UpdateSecret
from toolbox_fleet.secrets import changed_secret
from toolbox_fleet.secrets import check_secrets
from toolbox_fleet.secrets import new_secret
from toolbox_fleet.times import format_time

from toolbox_fleet_kubernetes.cache.cluster import Cluster
from toolbox_fleet_kubernetes.cache.feeds import Feeds
from toolbox_fleet_kubernetes.client import kinds
from toolbox_fleet_kubernetes.client.connection import Connection
from toolbox_fleet_kubernetes.client.errors import AlreadyThere
from toolbox_fleet_kubernetes.client.errors import NotThere
from toolbox_fleet_kubernetes.client.errors import Outdated
from toolbox_fleet_kubernetes.client.retrying import attempts
from toolbox_fleet_kubernetes.lifecycle import Lifecycle
from toolbox_fleet_kubernetes.objects import manifests
from toolbox_fleet_kubernetes.objects.names import OWNER
from toolbox_fleet_kubernetes.objects.names import RECORD
from toolbox_fleet_kubernetes.objects.names import SECRET
from toolbox_fleet_kubernetes.objects.names import kept_name
from toolbox_fleet_kubernetes.objects.records import Record

GONE = "no secret has this id"


class Secrets:
    """Keeps secrets. *Any thread.*"""

    def __init__(self, owner: str, connection: Connection, cluster: Cluster) -> None:
        self._owner = owner
        self._connection = connection
        self._cluster = cluster

    def all(self) -> list[Secret]:
        """Return all secrets, without their values."""
        return [found for one in self._listed(SECRET) if (found := _read(one)) is not None]

    def _listed(self, selector: str) -> list[kinds.Secret]:
        # Asked for each time: secrets are few, and rarely used.
        return self._connection.listed(kinds.SECRET, f"{OWNER}={self._owner},{selector}")[0]

    def create(self, wanted: CreateSecret) -> Secret:
        """Keep a secret. Raises NameTaken, InvalidValue, NoCapacity."""
        secret = new_secret(wanted)
        manifest = manifests.kept_secret(secret, self._owner, wanted.value)
        try:
            self._connection.create(kinds.SECRET, manifest)
        except AlreadyThere:
            raise NameTaken(f"the name {wanted.name!r} is taken") from None
        return secret

    def update(self, identity: str, update: UpdateSecret) -> Secret:
        """Change a secret; None leaves a field. Raises NoSuchResource, InvalidValue."""
        for _ in attempts():
            kept, secret = self._find(identity)
            changed = changed_secret(secret, update)
            body = manifests.kept_change(changed, kept.metadata.resourceVersion, update.value)
            try:
                self._connection.patch(kinds.SECRET, kept.metadata.name, body)
            except Outdated:
                continue
            except NotThere:
                raise NoSuchResource(GONE) from None
            return changed
        raise AssertionError

    def delete(self, identity: str) -> None:
        """Forget a secret. Raises NoSuchResource, InUse."""
        kept, secret = self._find(identity)
        for entry in self._cluster.entries():
            # A sandbox that is being deleted starts no more.
            if not entry.deleting and any(
                secret.name in one.values() for one in entry.record.secrets
            ):
                raise InUse(f"the secret is used by the sandbox {entry.record.name}")
        self._connection.delete(kinds.SECRET, kept.metadata.name, kept.metadata.uid)

    def _find(self, identity: str) -> tuple[kinds.Secret, Secret]:
        for one in self._listed(SECRET):
            if (found := _read(one)) is not None and found.id == identity:
                return one, found
        raise NoSuchResource(GONE)

    def check(self, secrets: list[dict[str, str]]) -> None:
        """Raise NoSuchResource or InvalidValue if a sandbox can't have these."""
        check_secrets(secrets, lambda name: self._kept(name) is not None)

    def environment(self, record: Record) -> dict[str, str]:
        """Return the variables that a sandbox gets, with their values."""
        found = {}
        for names in record.secrets:
            for variable, name in names.items():
                # None if it was deleted meanwhile: better a sandbox without the variable than one
                # that never starts.
                if (kept := self._kept(name)) is not None:
                    found[variable] = base64.b64decode(kept.data.get(manifests.VALUE, "")).decode()
        return found

    def _kept(self, name: str) -> kinds.Secret | None:
        with suppress(NotThere):
            kept = self._connection.get(kinds.SECRET, kept_name(name))
            if kept.metadata.labels.get(OWNER) == self._owner:
                return kept
        return None


def _read(kept: kinds.Secret) -> Secret | None:
    try:
        return msgspec.json.decode(kept.metadata.annotations.get(RECORD, ""), type=Secret)
    except msgspec.DecodeError:
        return None  # It isn't as we write it: somebody else's, in spite of its labels.


class SecretAbility:
    """See :class:`toolbox_fleet.backend.HasSecrets`."""

    _feeds: Feeds
    _lifecycle: Lifecycle
    _secrets: Secrets

    def secrets(self) -> Iterable[Secret]:
        return self._secrets.all()

    def create_secret(self, wanted: CreateSecret) -> Secret:
        return self._secrets.create(wanted)

    def update_secret(self, secret_id: str, update: UpdateSecret) -> Secret:
        return self._secrets.update(secret_id, update)

    def delete_secret(self, secret_id: str) -> None:
        self._feeds.wait()
        self._secrets.delete(secret_id)

    def set_secrets(self, key: str, secrets: list[dict[str, str]]) -> Sandbox:
        self._feeds.wait()
        identity = self._lifecycle.entry(key).record.id
        self._secrets.check(secrets)

        def change(record: Record) -> Record:
            return msgspec.structs.replace(record, secrets=secrets, updated_at=format_time())

        return self._lifecycle.change(identity, change)
