"""API group ``agentsandbox``: the runtime API of kubernetes-sigs/agent-sandbox.

Everything is below ``/agentsandbox``. On the ports in ``[agentsandbox] ports`` the same paths are
there without that, as its clients expect them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import BackendSpec

if TYPE_CHECKING:
    from flask import Flask

    from toolbox.lifecycle import Toolbox


@hookimpl
def toolbox_group() -> Group:
    from toolbox_agentsandbox.group import group

    return group


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            group="agentsandbox",
            name="local",
            target="toolbox_agentsandbox.local:LocalRuntime",
            summary="the backends of the groups process and files",
        )
    ]


@hookimpl
def toolbox_app(app: Flask, toolbox: Toolbox) -> None:
    from toolbox.application.mounting import mount
    from toolbox_agentsandbox.group import FIRST
    from toolbox_agentsandbox.group import ROOT

    mount(app, toolbox, "agentsandbox", ROOT, FIRST)
