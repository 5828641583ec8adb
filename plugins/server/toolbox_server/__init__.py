"""API group ``server``: the bearer token and the environment of the service."""

from __future__ import annotations

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import Backend

__version__ = "0.1.0"


@hookimpl
def toolbox_group() -> Group:
    from toolbox_server.routes import group

    return group


@hookimpl
def toolbox_backends() -> list[Backend]:
    return [
        Backend(
            group="server",
            name="local",
            target="toolbox_server.local:LocalServer",
            summary="this process: its token in memory and its own environment",
        )
    ]
