"""The responses of the info operations."""

from __future__ import annotations

import msgspec


class Version(msgspec.Struct, frozen=True):
    """The version of the service."""

    version: str


class Directory(msgspec.Struct, frozen=True):
    """An absolute path."""

    dir: str


class SystemMetrics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Limits and usage of the sandbox. A value that can't be read is 0."""

    timestamp: str
    """RFC 3339, UTC, whole seconds: older Python SDKs can't parse fractions."""
    timestamp_unix: int
    cpu_count: int
    """Cores the sandbox may use, rounded up."""
    cpu_used_pct: float
    """Percent of that limit, averaged over the last 5 to 10 seconds."""
    mem_total: int
    """Bytes the sandbox may use: its cgroup's limit, or the machine's memory."""
    mem_used: int
    mem_cache: int
    """Bytes of ``mem_used`` that are file cache."""
    disk_total: int
    disk_used: int
    disk_free: int
    """Bytes of the root file system that an unprivileged user can still write."""
