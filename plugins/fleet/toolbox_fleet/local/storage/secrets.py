"""Secrets: values in the fleet's records, which only the sandboxes that name them get.

The records are readable for the control plane's user only. A value is in no response and no log.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

import msgspec

from toolbox_fleet.errors import InUse
from toolbox_fleet.errors import InvalidValue
from toolbox_fleet.errors import NoSuchResource
from toolbox_fleet.local.records import Record
from toolbox_fleet.local.running.environment import refuse_own_variables
from toolbox_fleet.local.states import States
from toolbox_fleet.local.store import Store
from toolbox_fleet.local.supplies import Supply
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.models.secrets import CreateSecret
from toolbox_fleet.models.secrets import Secret
from toolbox_fleet.models.secrets import UpdateSecret
from toolbox_fleet.names import check_environment
from toolbox_fleet.names import check_name
from toolbox_fleet.times import format_time


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
        check_name(wanted.name)
        _check_value(wanted.value)
        now, identity = format_time(), str(uuid.uuid4())
        secret = Secret(
            id=identity,
            name=wanted.name,
            description=wanted.description,
            # Clients want one, though sandboxes here get the value itself.
            placeholder=f"secret-{identity}",
            hosts=wanted.hosts or [],
            created_at=now,
            updated_at=now,
        )
        self.table.add(identity, secret.name, SecretRow(secret, wanted.value))
        return secret

    def update(self, identity: str, update: UpdateSecret) -> Secret:
        """Change a secret; None leaves a field. Raises NoSuchResource, InvalidValue."""
        if update.value is not None:
            _check_value(update.value)

        def change(row: SecretRow) -> SecretRow:
            old = row.secret
            secret = msgspec.structs.replace(
                old,
                description=old.description if update.description is None else update.description,
                hosts=old.hosts if update.hosts is None else update.hosts,
                updated_at=format_time(),
            )
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
        for names in secrets:
            variables = dict.fromkeys(names, "")
            check_environment(variables)
            refuse_own_variables(variables)
            for name in names.values():
                if self.table.find(name) is None:
                    raise NoSuchResource(f"no secret has the name {name!r}")

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


def _check_value(value: str) -> None:
    if not value:
        raise InvalidValue("the value of a secret must not be empty")
    # A value that no environment can hold would make every later start fail.
    check_environment({"SECRET": value})


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
