"""API group ``mcp``: tools for agents over the Model Context Protocol, at ``POST /mcp``.

It is a dialect: its tools work on the backends of ``files``, ``process``, ``git`` and
``computeruse``, and those of a group that is not there are not offered. Plugins add tools by the
hook in :mod:`toolbox_mcp.hookspecs`.
"""

from __future__ import annotations

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import BackendSpec


@hookimpl
def toolbox_group() -> Group:
    from toolbox_mcp.routes import group

    return group


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            group="mcp",
            name="local",
            target="toolbox_mcp.local:LocalMcp",
            summary="tools on the backends of the other groups",
        )
    ]
