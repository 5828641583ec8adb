"""API group ``server``: the bearer token and the environment of the service."""

from __future__ import annotations

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import BackendSpec


@hookimpl
def toolbox_group() -> Group:
    from toolbox_server.routes import group

    return group


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            group="server",
            name="local",
            target="toolbox_server.local:LocalServer",
            summary="this process: its token in memory and its own environment",
        )
    ]
