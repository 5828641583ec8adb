"""API group ``swerex``: the remote runtime of SWE-ReX, by which SWE-agent works in sandboxes.

Everything is below ``/swerex``. On the ports in ``[swerex] ports`` the same paths are there without
that, as its clients expect them.
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
    from toolbox_swerex.group import group

    return group


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            group="swerex",
            name="local",
            target="toolbox_swerex.local:LocalRuntime",
            summary="the backends of the groups process and files",
        )
    ]


@hookimpl
def toolbox_app(app: Flask, toolbox: Toolbox) -> None:
    from toolbox.application.mounting import mount
    from toolbox_swerex.group import FIRST
    from toolbox_swerex.group import ROOT

    mount(app, toolbox, "swerex", ROOT, FIRST)
