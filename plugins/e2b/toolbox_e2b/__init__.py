"""API group ``e2b``: the clients of E2B run on this service unchanged.

Everything is below ``/e2b``. Requests for the port 49983, on which those clients expect a sandbox's
service, are led there: those whose host is ``localhost:49983`` (``E2B_DEBUG=true``) or
``49983-<id>.<domain>``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import cast

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import BackendSpec

if TYPE_CHECKING:
    from flask import Flask

    from toolbox.lifecycle import Toolbox


@hookimpl
def toolbox_group() -> Group:
    from toolbox_e2b.group import group

    return group


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            group="e2b",
            name="local",
            target="toolbox_e2b.local:LocalE2b",
            summary="the backends of the groups process, files and fleet",
        )
    ]


# Last, so that it is outermost: the previews of the group fleet have host names, too.
@hookimpl(trylast=True)
def toolbox_app(app: Flask, toolbox: Toolbox) -> None:
    from toolbox_e2b.entrance import Entrance
    from toolbox_e2b.settings import E2bSettings

    for served in toolbox.registry.served:
        if served.group.name == "e2b":
            settings = cast(E2bSettings, served.group_settings)
            app.wsgi_app = Entrance(app.wsgi_app, toolbox, settings)  # type: ignore[method-assign]
