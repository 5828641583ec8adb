"""Access to sandboxes by SSH, on the wire."""

from __future__ import annotations

import msgspec


class SshAccess(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A token by which one sandbox is reached. Times are RFC 3339."""

    id: str
    sandbox_id: str
    token: str
    expires_at: str
    created_at: str
    updated_at: str
    ssh_command: str


class SshAccessValidation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The validity of a token, and the sandbox that it is for."""

    valid: bool
    sandbox_id: str
