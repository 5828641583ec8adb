"""Volumes on the wire."""

from __future__ import annotations

from typing import Literal

import msgspec


class Volume(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A volume."""

    id: str
    name: str
    organization_id: str = "local"
    state: Literal[
        "creating", "ready", "pending_create", "pending_delete", "deleting", "deleted", "error"
    ] = "ready"
    created_at: str
    updated_at: str
    last_used_at: str | None = None
    error_reason: str | None = None


class CreateVolume(msgspec.Struct, frozen=True):
    """A volume to be created."""

    name: str
