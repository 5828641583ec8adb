"""API group ``lsp``: completions, symbols and diagnostics by language servers."""

from __future__ import annotations

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import BackendSpec


@hookimpl
def toolbox_group() -> Group:
    from toolbox_lsp.routes import group

    return group


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            group="lsp",
            name="local",
            target="toolbox_lsp.local:LocalLsp",
            summary="language servers on this machine, spoken to over pipes",
        )
    ]
