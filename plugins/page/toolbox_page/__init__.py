"""API group ``page``: a page for browsers with status, terminal and API reference."""

from __future__ import annotations

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import Backend

__version__ = "0.1.0"


@hookimpl
def toolbox_group() -> Group:
    from toolbox_page.routes import group

    return group


@hookimpl
def toolbox_backends() -> list[Backend]:
    return [
        Backend(
            group="page",
            name="bundled",
            target="toolbox_page.bundled:BundledPage",
            summary="the files that are in the package",
        )
    ]
