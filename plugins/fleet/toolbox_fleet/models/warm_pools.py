"""Warm pools on the wire."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

PoolSize = Annotated[int, Meta(ge=0, le=1000)]


class WarmPool(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A pool of sandboxes of one snapshot."""

    id: str
    organization_id: str = "local"
    snapshot: str
    target: str = "local"
    pool: int
    """Sandboxes to keep ready."""
    current_size: int
    """Sandboxes that are ready."""
    cpu: int
    gpu: int = 0
    mem: int
    """GiB."""
    disk: int
    """GiB."""
    os_user: str
    env: dict[str, str] = {}
    error_reason: str | None = None
    created_at: str
    updated_at: str


class CreateWarmPool(msgspec.Struct, frozen=True, kw_only=True):
    """A pool to be created for a snapshot, named by id or name."""

    snapshot: str
    pool: Annotated[int, Meta(ge=1, le=1000)]
    target: str | None = None


class UpdateWarmPool(msgspec.Struct, frozen=True):
    """The new number of sandboxes to keep ready."""

    pool: PoolSize
