"""The bodies of the control plane, with the fields that clients of E2B know."""

from __future__ import annotations

from typing import Annotated
from typing import Any

import msgspec
from msgspec import Meta

from toolbox_e2b.settings import ENVD_VERSION

TIMEOUT = 300
"""Seconds that a sandbox lives by default."""

Seconds = Annotated[int, Meta(ge=0, le=10 * 365 * 24 * 3600)]


class NewSandbox(msgspec.Struct, frozen=True, kw_only=True):
    """A sandbox to be created from a template, which is a snapshot here."""

    template: str = msgspec.field(name="templateID")
    timeout: Seconds = TIMEOUT
    metadata: dict[str, str] | None = None
    variables: dict[str, str] | None = msgspec.field(default=None, name="envVars")
    auto_pause: bool = msgspec.field(default=False, name="autoPause")
    allow_internet_access: bool | None = None
    network: dict[str, Any] | None = None
    mcp: dict[str, Any] | None = None
    iam: dict[str, Any] | None = None
    volume_mounts: list[dict[str, str]] | None = msgspec.field(default=None, name="volumeMounts")


class Timeout(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds from now on after which a sandbox is deleted."""

    timeout: Seconds = TIMEOUT


class Refresh(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds from now on that a sandbox lives at least."""

    duration: Seconds = TIMEOUT


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """The wish to keep the memory; None for whatever is possible."""

    memory: bool | None = None


class Created(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A sandbox with what a client needs to reach it."""

    template: str = msgspec.field(name="templateID")
    id: str = msgspec.field(name="sandboxID")
    client: str = msgspec.field(name="clientID")
    version: str = msgspec.field(name="envdVersion")
    token: str = msgspec.field(name="envdAccessToken")
    alias: str | None = None
    domain: str | None = None


class Detail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A sandbox as it is listed; ``token`` and ``domain`` only where one is asked for."""

    template: str = msgspec.field(name="templateID")
    id: str = msgspec.field(name="sandboxID")
    client: str = msgspec.field(name="clientID")
    started_at: str = msgspec.field(name="startedAt")
    end_at: str = msgspec.field(name="endAt")
    cpu_count: int = msgspec.field(name="cpuCount")
    memory: int = msgspec.field(name="memoryMB")
    disk: int = msgspec.field(name="diskSizeMB")
    state: str
    version: str = msgspec.field(name="envdVersion")
    metadata: dict[str, str]
    alias: str | None = None
    token: str | None = msgspec.field(default=None, name="envdAccessToken")
    domain: str | None = None


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A filter, and a page: ``metadata`` is a query string of its own."""

    metadata: str = ""
    state: str = ""
    template: str = ""
    order: str = "desc"
    started_after: str = msgspec.field(default="", name="startedAfter")
    limit: Annotated[int, Meta(ge=1, le=100)] = 100
    next_token: str = msgspec.field(default="", name="nextToken")


class MetricsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A range of time in seconds since the epoch."""

    start: Annotated[int, Meta(ge=0, le=2**33)] | None = None
    end: Annotated[int, Meta(ge=0, le=2**33)] | None = None


class Metric(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The resources that a sandbox used at one time, sizes in bytes."""

    timestamp: str
    timestamp_unix: int
    cpu_count: int
    cpu_used_pct: float
    mem_used: int
    mem_total: int
    mem_cache: int
    disk_used: int
    disk_total: int


class SnapshotRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot to be made of a sandbox; without a name one is made up."""

    name: str = ""
    memory: bool | None = None


class SnapshotInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot; its id may be the template of new sandboxes."""

    id: str = msgspec.field(name="snapshotID")
    names: list[str]


class SnapshotQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A filter, and a page."""

    sandbox: str = msgspec.field(default="", name="sandboxID")
    name: str = ""
    limit: Annotated[int, Meta(ge=1, le=100)] = 100
    next_token: str = msgspec.field(default="", name="nextToken")


def created(sandbox: Any, token: str, domain: str) -> Created:
    """Return a sandbox of the group ``fleet`` with what a client needs to reach it."""
    template = sandbox.snapshot or "base"
    return Created(
        template=template,
        id=sandbox.id,
        client="toolbox",
        version=ENVD_VERSION,
        token=token,
        alias=template,
        domain=domain or None,
    )
