"""The state of the machine: health, variables and metrics."""

from __future__ import annotations

import msgspec

from toolbox.errors import BadRequest
from toolbox.errors import NotSupported
from toolbox.group import Operations
from toolbox_e2b.backend import E2bBackend
from toolbox_e2b.errors import ROOT

operations = Operations()


class InitRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The variables of every process that is started from now on."""

    env_vars: dict[str, str] | None = None


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """Resources of the machine, sizes in bytes."""

    ts: int
    cpu_count: int
    cpu_used_pct: float
    mem_total: int
    mem_used: int
    mem_cache: int
    disk_total: int
    disk_used: int


@operations.get(f"{ROOT}/health", status=204, monitoring=True)
def get_health(backend: E2bBackend) -> None:
    """Respond that the service runs."""


@operations.get(f"{ROOT}/metrics", errors=(NotSupported,))
def get_metrics(backend: E2bBackend) -> Metrics:
    """Show the resources of the machine."""
    now = backend.info.metrics()
    return Metrics(
        ts=now.timestamp_unix,
        cpu_count=now.cpu_count,
        cpu_used_pct=now.cpu_used_pct,
        mem_total=now.mem_total,
        mem_used=now.mem_used,
        mem_cache=now.mem_cache,
        disk_total=now.disk_total,
        disk_used=now.disk_used,
    )


@operations.get(f"{ROOT}/envs")
def get_variables(backend: E2bBackend) -> dict[str, str]:
    """Return the variables that every process gets."""
    return backend.processes.variables


@operations.post(f"{ROOT}/init", status=204, errors=(BadRequest,))
def initialize_variables(backend: E2bBackend, body: InitRequest | None) -> None:
    """Set the variables of every process that is started from now on."""
    if body is not None and body.env_vars is not None:
        backend.processes.set_variables(body.env_vars)
