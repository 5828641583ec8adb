"""What the server operations take and answer."""

from __future__ import annotations

import msgspec


class Authorization(msgspec.Struct, frozen=True):
    """The header with the bearer token in force."""

    authorization: str = msgspec.field(default="", name="Authorization")


class InitializeRequest(msgspec.Struct, frozen=True):
    """A new bearer token; without one nothing changes."""

    token: str | None = None


class UpdateEnvRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A change of the environment. ``null`` stands for an empty value, list or table."""

    set: dict[str, str | None] | None = None
    """Applied last: values by name."""
    unset: list[str] | None = None
    """Names to drop. One that isn't set is no error."""
    unset_value_prefix: str | None = None
    """Drop first whatever has a value that starts with this, but for the names in ``set``."""


class Message(msgspec.Struct, frozen=True):
    """What was done, for people."""

    message: str
