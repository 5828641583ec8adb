"""API group ``port``: the listening TCP ports of the sandbox, and a proxy to them."""

from __future__ import annotations

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import BackendSpec


@hookimpl
def toolbox_group() -> Group:
    from toolbox_port.routes import group

    return group


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            group="port",
            name="local",
            target="toolbox_port.local:LocalPorts",
            summary="the ports of this machine, or of the container the service runs in",
        )
    ]
