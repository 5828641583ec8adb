"""Secrets: list, create, change and delete."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta

from toolbox.group import Operations
from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.backend import HasSecrets
from toolbox_fleet.errors import InUse
from toolbox_fleet.errors import InvalidValue
from toolbox_fleet.errors import NameTaken
from toolbox_fleet.errors import NoSuchResource
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.models.secrets import CreateSecret
from toolbox_fleet.models.secrets import Secret
from toolbox_fleet.models.secrets import SecretPage
from toolbox_fleet.models.secrets import UpdateSecret
from toolbox_fleet.names import check_name
from toolbox_fleet.names import check_text
from toolbox_fleet.routes.abilities import able

operations = Operations()


class SecretQuery(msgspec.Struct, frozen=True, kw_only=True):
    """One page of the secrets that match, after a cursor: the id of the last one."""

    cursor: str = ""
    limit: Annotated[int, Meta(ge=1, le=200)] = 100
    name: str = ""
    """A part of the name."""
    sort: Literal["name", "createdAt", "updatedAt"] = "name"
    order: Literal["asc", "desc"] = "asc"


@operations.get("/api/secret/paginated", errors=(InvalidValue, Unsupported))
def list_secrets_paginated(backend: FleetBackend, query: SecretQuery) -> SecretPage:
    """List secrets, without their values."""
    found = [one for one in able(backend, HasSecrets).secrets() if query.name in one.name]
    found.sort(key=lambda one: (_position(one, query.sort), one.id), reverse=query.order == "desc")
    # An id, as a position would shift when secrets come and go.
    first = 0
    if query.cursor:
        ids = [one.id for one in found]
        if query.cursor not in ids:
            raise InvalidValue("cursor is not one that this list has returned")
        first = ids.index(query.cursor) + 1
    page = found[first : first + query.limit]
    more = first + len(page) < len(found)
    return SecretPage(items=page, total=len(found), next_cursor=page[-1].id if more else None)


@operations.post("/api/secret", status=201, errors=(InvalidValue, NameTaken, Unsupported))
def create_secret(backend: FleetBackend, body: CreateSecret) -> Secret:
    """Keep a secret."""
    check_name(body.name)
    check_text(value=body.value, description=body.description)
    return able(backend, HasSecrets).create_secret(body)


@operations.get("/api/secret/{secret_id}", errors=(NoSuchResource, Unsupported))
def get_secret(backend: FleetBackend, secret_id: str) -> Secret:
    """Return a secret by id, without its value."""
    # As for volumes: one method less for a backend.
    for secret in able(backend, HasSecrets).secrets():
        if secret.id == secret_id:
            return secret
    raise NoSuchResource("no secret has this id")


@operations.patch("/api/secret/{secret_id}", errors=(InvalidValue, NoSuchResource, Unsupported))
def update_secret(backend: FleetBackend, secret_id: str, body: UpdateSecret) -> Secret:
    """Change a secret; running sandboxes keep the old value until they are started again."""
    check_text(value=body.value, description=body.description)
    return able(backend, HasSecrets).update_secret(secret_id, body)


@operations.delete(
    "/api/secret/{secret_id}", status=204, errors=(InUse, NoSuchResource, Unsupported)
)
def delete_secret(backend: FleetBackend, secret_id: str) -> None:
    """Forget a secret."""
    able(backend, HasSecrets).delete_secret(secret_id)


def _position(secret: Secret, field: str) -> str:
    return {
        "name": secret.name,
        "createdAt": secret.created_at,
        "updatedAt": secret.updated_at,
    }[field]
