"""API group ``lsp``: what a language server knows of a project."""

from __future__ import annotations

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import Backend

__version__ = "0.1.0"


@hookimpl
def toolbox_group() -> Group:
    from toolbox_lsp.routes import group

    return group


@hookimpl
def toolbox_backends() -> list[Backend]:
    return [
        Backend(
            group="lsp",
            name="local",
            target="toolbox_lsp.local:LocalLsp",
            summary="language servers that run on this machine and speak over pipes",
        )
    ]
