"""The group ``fleet``: the control plane's operations."""

from __future__ import annotations

from toolbox.group import Group
from toolbox.http.envelope import CONTROL_PLANE
from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.routes import access
from toolbox_fleet.routes import build_logs
from toolbox_fleet.routes import configuration
from toolbox_fleet.routes import events
from toolbox_fleet.routes import gateway
from toolbox_fleet.routes import sandbox_settings
from toolbox_fleet.routes import sandboxes
from toolbox_fleet.routes import secrets
from toolbox_fleet.routes import snapshots
from toolbox_fleet.routes import ssh
from toolbox_fleet.routes import volumes
from toolbox_fleet.routes import warm_pools
from toolbox_fleet.settings import FleetSettings

group = Group(
    "fleet",
    backend=FleetBackend,
    default_backend="local",
    settings=FleetSettings,
    root="/api",
    error_source=CONTROL_PLANE,
    summary="Sandboxes: create, start, stop and reach them, as clients of Daytona do",
)
group.include(
    sandboxes.operations,
    sandbox_settings.operations,
    access.operations,
    ssh.operations,
    configuration.operations,
    snapshots.operations,
    build_logs.operations,
    volumes.operations,
    secrets.operations,
    warm_pools.operations,
    events.operations,
    gateway.operations,
)
