"""API group ``process``: commands, code, sessions, terminals and interpreters."""

from __future__ import annotations

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import BackendSpec
from toolbox_process.settings import LocalSettings


@hookimpl
def toolbox_group() -> Group:
    from toolbox_process.group import group

    return group


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            group="process",
            name="local",
            target="toolbox_process.local:LocalProcess",
            settings=LocalSettings,
            summary="processes of this machine, as the user the service runs as",
        )
    ]
