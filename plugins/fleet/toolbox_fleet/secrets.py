"""Secrets as every backend that keeps them makes, changes and checks them."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import msgspec

from toolbox_fleet.errors import InvalidValue
from toolbox_fleet.errors import NoSuchResource
from toolbox_fleet.models.secrets import CreateSecret
from toolbox_fleet.models.secrets import Secret
from toolbox_fleet.models.secrets import UpdateSecret
from toolbox_fleet.names import check_environment
from toolbox_fleet.names import check_name
from toolbox_fleet.names import refuse_own_variables
from toolbox_fleet.times import format_time


def new_secret(wanted: CreateSecret) -> Secret:
    """Return a secret for a request, without its value. Raises InvalidValue."""
    check_name(wanted.name)
    _check_value(wanted.value)
    now, identity = format_time(), str(uuid.uuid4())
    return Secret(
        id=identity,
        name=wanted.name,
        description=wanted.description,
        # Clients want one, though sandboxes here get the value itself.
        placeholder=f"secret-{identity}",
        hosts=wanted.hosts or [],
        created_at=now,
        updated_at=now,
    )


def changed_secret(secret: Secret, update: UpdateSecret) -> Secret:
    """Return a secret as a request changes it; None leaves a field. Raises InvalidValue."""
    if update.value is not None:
        _check_value(update.value)
    return msgspec.structs.replace(
        secret,
        description=secret.description if update.description is None else update.description,
        hosts=secret.hosts if update.hosts is None else update.hosts,
        updated_at=format_time(),
    )


def check_secrets(secrets: list[dict[str, str]], exists: Callable[[str], bool]) -> None:
    """Raise NoSuchResource or InvalidValue if a sandbox can't have these, by variable and name."""
    for names in secrets:
        variables = dict.fromkeys(names, "")
        check_environment(variables)
        refuse_own_variables(variables)
        for name in names.values():
            if not exists(name):
                raise NoSuchResource(f"no secret has the name {name!r}")


def _check_value(value: str) -> None:
    if not value:
        raise InvalidValue("the value of a secret must not be empty")
    # A value that no environment can hold would make every later start fail.
    check_environment({"SECRET": value})
