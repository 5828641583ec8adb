"""Snapshots on the wire."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec

from toolbox.http.client_versions import since
from toolbox_fleet.models.sandboxes import BuildInfo
from toolbox_fleet.models.sandboxes import Count

SnapshotState = Literal[
    "building",
    "pending",
    "pulling",
    "snapshotting",
    "active",
    "inactive",
    "error",
    "build_failed",
    "removing",
]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A snapshot. The fields without a default are required by clients, null or not."""

    id: str
    name: str
    organization_id: str = "local"
    general: bool = False
    image_name: str | None = None
    state: SnapshotState = "active"
    size: float | None = None
    """GiB."""
    entrypoint: list[str] | None = None
    cpu: int = 1
    gpu: int = 0
    mem: int = 1
    """GiB."""
    disk: int = 1
    """GiB."""
    error_reason: str | None = None
    created_at: str
    updated_at: str
    last_used_at: str | None = None
    source_sandbox_id: Annotated[str | None, since(0, 188)] = None
    ref: str | None = None
    sandbox_class: Annotated[str, since(0, 184)] = "container"


class CreateSnapshot(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A snapshot to be made of an image or a build."""

    name: str
    image_name: str | None = None
    entrypoint: list[str] | None = None
    cpu: Count | None = None
    gpu: int | None = None
    gpu_type: list[str] | str | None = None
    memory: Count | None = None
    disk: Count | None = None
    build_info: BuildInfo | None = None
    region_id: str | None = None
    sandbox_class: str | None = None


class SnapshotPage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One page of snapshots."""

    items: list[Snapshot]
    total: int
    page: int
    total_pages: int
