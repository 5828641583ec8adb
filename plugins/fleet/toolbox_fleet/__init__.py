"""API group ``fleet``: a control plane, so that an SDK's ``create()`` works.

An SDK creates a sandbox by ``POST {api_url}/sandbox`` or asks for one by ``GET
{api_url}/sandbox/{id}``, then sends each call to ``{toolboxProxyUrl}/{id}{path}`` of the response::

    Daytona(DaytonaConfig(api_key=TOKEN, api_url="http://127.0.0.1:2280/api", target="local"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import BackendSpec
from toolbox.plugins import CommandSpec
from toolbox_fleet.local.settings import LocalSettings

if TYPE_CHECKING:
    from flask import Flask

    from toolbox.lifecycle import Toolbox


@hookimpl
def toolbox_group() -> Group:
    from toolbox_fleet.group import group

    return group


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    from toolbox_fleet.single.settings import SingleSettings

    return [
        BackendSpec(
            group="fleet",
            name="single",
            target="toolbox_fleet.single.backend:SingleFleet",
            settings=SingleSettings,
            summary="this machine as the only sandbox, with any id",
        ),
        BackendSpec(
            group="fleet",
            name="local",
            target="toolbox_fleet.local.backend:LocalFleet",
            settings=LocalSettings,
            summary="each sandbox is a service of its own on this machine",
        ),
    ]


@hookimpl
def toolbox_commands() -> list[CommandSpec]:
    return [
        CommandSpec(
            name="sandboxes",
            target="toolbox_fleet.cli.main:main",
            summary="List, create, start, stop and delete the sandboxes of a running service.",
        )
    ]


@hookimpl
def toolbox_app(app: Flask, toolbox: Toolbox) -> None:
    from toolbox_fleet.gateway.visits import PreviewEntrance
    from toolbox_fleet.single.mount import SandboxMount

    backends = {served.group.name: served.backend.name for served in toolbox.registry.served}
    if backends.get("fleet") == "single":  # The sandbox is this service.
        prefix = toolbox.settings.server.path_prefix
        app.wsgi_app = SandboxMount(app.wsgi_app, prefix)  # type: ignore[method-assign]
    elif "fleet" in backends:
        app.wsgi_app = PreviewEntrance(app.wsgi_app, toolbox)  # type: ignore[method-assign]
