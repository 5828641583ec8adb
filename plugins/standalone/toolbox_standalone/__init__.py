"""The official SDKs without a control plane: the service itself answers what they ask of one.

An SDK first asks ``{api_url}/sandbox/{id}`` for the sandbox, then sends each call to
``{toolboxProxyUrl}/{id}{path}`` of the answer. With this plugin both are this service::

    Daytona(DaytonaConfig(api_key=TOKEN, api_url="http://127.0.0.1:2280/api", target="local"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import Backend

if TYPE_CHECKING:
    from flask import Flask

    from toolbox.lifecycle import Toolbox

__version__ = "0.1.0"


@hookimpl
def toolbox_group() -> Group:
    from toolbox_standalone.routes import group

    return group


@hookimpl
def toolbox_backends() -> list[Backend]:
    return [
        Backend(
            group="standalone",
            name="local",
            target="toolbox_standalone.local:LocalStandalone",
            summary="this machine as the one sandbox, under any id",
        )
    ]


@hookimpl
def toolbox_app(app: Flask, toolbox: Toolbox) -> None:
    from toolbox_standalone.mount import SandboxMount

    prefix = toolbox.settings.server.path_prefix
    app.wsgi_app = SandboxMount(app.wsgi_app, prefix)  # type: ignore[method-assign]
