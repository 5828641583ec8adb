"""Secrets on the wire."""

from __future__ import annotations

import msgspec


class Secret(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A secret, without its value."""

    id: str
    name: str
    description: str | None = None
    placeholder: str = ""
    hosts: list[str] = []
    created_at: str
    updated_at: str


class CreateSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A secret to be kept."""

    name: str
    value: str
    description: str | None = None
    hosts: list[str] | None = None


class UpdateSecret(msgspec.Struct, frozen=True, kw_only=True):
    """Changes of a secret; None leaves a field as it is."""

    value: str | None = None
    description: str | None = None
    hosts: list[str] | None = None


class SecretPage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One page of secrets. The cursor is null on the last page."""

    items: list[Secret]
    total: int
    next_cursor: str | None
