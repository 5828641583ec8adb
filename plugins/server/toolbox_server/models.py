"""The requests and responses of the server operations."""

from __future__ import annotations

import msgspec


class Authorization(msgspec.Struct, frozen=True):
    """The header with the bearer token in force."""

    authorization: str = msgspec.field(default="", name="Authorization")


class InitializeRequest(msgspec.Struct, frozen=True, rename="camel"):
    """A new bearer token; without one nothing changes."""

    token: str | None = None
    signing_key: str | None = None
    """A new key of signed URLs, of a control plane that starts services before it knows for whom.
    Without one the key stays.
    """


class UpdateEnvRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A change of the environment. ``null`` stands for an empty value, list or table."""

    set: dict[str, str | None] | None = None
    """Values by name. Applied last."""
    unset: list[str] | None = None
    """Names to remove. One that isn't set is not an error."""
    unset_value_prefix: str | None = None
    """First remove variables whose value starts with this, except those in ``set``."""


class Message(msgspec.Struct, frozen=True):
    """A confirmation, for people."""

    message: str
