"""API group ``git``: repositories, with the git binary or without."""

from __future__ import annotations

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import Backend

__version__ = "0.1.0"


@hookimpl
def toolbox_group() -> Group:
    from toolbox_git.routes import group

    return group


@hookimpl
def toolbox_backends() -> list[Backend]:
    return [
        Backend(
            group="git",
            name="auto",
            target="toolbox_git.auto:AutoBackend",
            summary="cli where the git binary is installed, dulwich elsewhere",
        ),
        Backend(
            group="git",
            name="cli",
            target="toolbox_git.cli.backend:CliBackend",
            summary="the git binary: every transport, filters, large repositories",
            requires=("git",),
        ),
        Backend(
            group="git",
            name="dulwich",
            target="toolbox_git.pure.backend:DulwichBackend",
            summary="pure Python: needs no git in the image",
        ),
    ]
