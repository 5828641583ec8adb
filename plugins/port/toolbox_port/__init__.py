"""API group ``port``: which ports are listened on, and a proxy to them."""

from __future__ import annotations

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import Backend

__version__ = "0.1.0"


@hookimpl
def toolbox_group() -> Group:
    from toolbox_port.routes import group

    return group


@hookimpl
def toolbox_backends() -> list[Backend]:
    return [
        Backend(
            group="port",
            name="local",
            target="toolbox_port.local:LocalPorts",
            summary="the ports of this machine, or of the container the service runs in",
        )
    ]
