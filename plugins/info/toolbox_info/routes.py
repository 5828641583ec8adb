"""The info operations."""

from __future__ import annotations

import toolbox
from toolbox.group import Group
from toolbox_info.backend import InfoBackend
from toolbox_info.errors import HomeUnknown
from toolbox_info.models import Directory
from toolbox_info.models import SystemMetrics
from toolbox_info.models import Version

group = Group(
    "info",
    backend=InfoBackend,
    default_backend="local",
    summary="Version, directories and metrics of the sandbox",
)


@group.get("/version", public=True, constant=True)
def get_version(backend: InfoBackend) -> Version:
    """Return the version of the service. Needs no token."""
    return Version(f"v{toolbox.__version__}")


@group.get("/work-dir")
def get_work_dir(backend: InfoBackend) -> Directory:
    """Return the directory that relative paths start from."""
    return Directory(backend.work_dir())


@group.get("/user-home-dir", errors=(HomeUnknown,))
def get_user_home_dir(backend: InfoBackend) -> Directory:
    """Return the user's home directory."""
    return Directory(backend.home_dir())


@group.get("/project-dir", errors=(HomeUnknown,))
def get_project_dir(backend: InfoBackend) -> Directory:
    """Return the user's home directory, under the name that older clients use."""
    return Directory(backend.home_dir())


@group.get("/system/metrics")
def get_system_metrics(backend: InfoBackend) -> SystemMetrics:
    """Return CPU, memory and disk usage of the sandbox."""
    return backend.metrics()
