"""Secrets: values in the fleet's records, which only the sandboxes that name them get.

The records are readable for the control plane's user only. A value is in no response and no log.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from toolbox_fleet.errors import InUse
from toolbox_fleet.errors import NoSuchResource
from toolbox_fleet.local.records import Record
from toolbox_fleet.local.states import States
from toolbox_fleet.local.store import Store
from toolbox_fleet.local.supplies import Supply
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.models.secrets import CreateSecret
from toolbox_fleet.models.secrets import Secret
from toolbox_fleet.models.secrets import UpdateSecret
from toolbox_fleet.secrets import changed_secret
from toolbox_fleet.secrets import check_secrets
from toolbox_fleet.secrets import new_secret


class SecretRow(msgspec.Struct, frozen=True):
    """A secret with its value."""

    secret: Secret
    value: str

    def __repr__(self) -> str:
        # A traceback or a log line must not show the value.
        return f"SecretRow({self.secret.name!r})"


class Secrets(Supply):
    """All secrets, and those of each sandbox."""

    def __init__(self, store: Store, states: States) -> None:
        self._store = store
        self._states = states
        self.table = store.table("secret", SecretRow)

    def create(self, wanted: CreateSecret) -> Secret:
        """Keep a secret. Raises NameTaken, InvalidValue."""
        secret = new_secret(wanted)
        self.table.add(secret.id, secret.name, SecretRow(secret, wanted.value))
        return secret

    def update(self, identity: str, update: UpdateSecret) -> Secret:
        """Change a secret; None leaves a field. Raises NoSuchResource, InvalidValue."""

        def change(row: SecretRow) -> SecretRow:
            secret = changed_secret(row.secret, update)
            return SecretRow(secret, row.value if update.value is None else update.value)

        try:
            return self.table.change(identity, change).secret
        except KeyError:
            raise NoSuchResource("no secret has this id") from None

    def delete(self, identity: str) -> None:
        """Forget a secret. Raises NoSuchResource, InUse."""
        self._store.insist(lambda: self._forget(identity))

    def _forget(self, identity: str) -> None:
        with self._store.transaction():
            row = self.table.get(identity)
            if row is None:
                raise NoSuchResource("no secret has this id")
            for record in self._states.table.all():
                # A sandbox that is being deleted starts no more.
                if record.sandbox.state != "destroying" and any(
                    row.secret.name in one.values() for one in record.secrets
                ):
                    raise InUse(f"the secret is used by the sandbox {record.sandbox.name}")
            self.table.remove(identity)

    def set(self, key: str, secrets: list[dict[str, str]]) -> Sandbox:
        """Replace the secrets of a sandbox, from its next start on.

        Raises NoSuchSandbox, NoSuchResource, InvalidValue.
        """
        with self._store.transaction():
            identity = self._states.record(key).sandbox.id
            self._check(secrets)
            changed = self._states.table.change(
                identity, lambda record: msgspec.structs.replace(record, secrets=secrets)
            )
        return changed.sandbox

    def check(self, wanted: CreateSandbox, record: Record) -> Record:
        self._check(record.secrets)
        return record

    def _check(self, secrets: list[dict[str, str]]) -> None:
        check_secrets(secrets, lambda name: self.table.find(name) is not None)

    def environment(self, record: Record) -> dict[str, str]:
        found = {}
        for names in record.secrets:
            for variable, name in names.items():
                row = self.table.find(name)
                # None if it was deleted while this sandbox was being made: better one without
                # the variable than one that never starts.
                if row is not None:
                    found[variable] = row.value
        return found


class SecretAbility:
    """See :class:`toolbox_fleet.backend.HasSecrets`."""

    _secrets: Secrets

    def secrets(self) -> Iterable[Secret]:
        return [row.secret for row in self._secrets.table.all()]

    def create_secret(self, wanted: CreateSecret) -> Secret:
        return self._secrets.create(wanted)

    def update_secret(self, secret_id: str, update: UpdateSecret) -> Secret:
        return self._secrets.update(secret_id, update)

    def delete_secret(self, secret_id: str) -> None:
        self._secrets.delete(secret_id)

    def set_secrets(self, key: str, secrets: list[dict[str, str]]) -> Sandbox:
        return self._secrets.set(key, secrets)
