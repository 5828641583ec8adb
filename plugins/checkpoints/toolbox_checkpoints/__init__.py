"""API group ``checkpoints``: directories as they were, to compare, restore and fork."""

from __future__ import annotations

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import BackendSpec


@hookimpl
def toolbox_group() -> Group:
    from toolbox_checkpoints.routes import group

    return group


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    from toolbox_checkpoints.settings import LocalSettings

    return [
        BackendSpec(
            group="checkpoints",
            name="local",
            target="toolbox_checkpoints.local:LocalCheckpoints",
            settings=LocalSettings,
            summary="copies in a directory of this machine, shared where files are unchanged",
        )
    ]
