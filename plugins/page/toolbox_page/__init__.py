"""API group ``page``: a page for browsers: status, terminal, desktop, files, jobs."""

from __future__ import annotations

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import BackendSpec


@hookimpl
def toolbox_group() -> Group:
    from toolbox_page.routes import group

    return group


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            group="page",
            name="bundled",
            target="toolbox_page.bundled:BundledPage",
            summary="the files in the package",
        )
    ]
