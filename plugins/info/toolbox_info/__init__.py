"""API group ``info``: version, directories and metrics of the sandbox."""

from __future__ import annotations

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import BackendSpec


@hookimpl
def toolbox_group() -> Group:
    from toolbox_info.routes import group

    return group


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            group="info",
            name="local",
            target="toolbox_info.local:LocalInfo",
            summary="this machine, within the limits of its cgroup",
        )
    ]
