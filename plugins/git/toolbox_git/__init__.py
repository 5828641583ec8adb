"""API group ``git``: repositories, with the git binary or without."""

from __future__ import annotations

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import BackendSpec


@hookimpl
def toolbox_group() -> Group:
    from toolbox_git.routes import group

    return group


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            group="git",
            name="auto",
            target="toolbox_git.auto:choose_backend",
            summary="cli where the git binary is installed, dulwich elsewhere",
        ),
        BackendSpec(
            group="git",
            name="cli",
            target="toolbox_git.cli.backend:CliBackend",
            summary="the git binary: every transport, filters, large repositories",
            requires=("git",),
        ),
        BackendSpec(
            group="git",
            name="dulwich",
            target="toolbox_git.dulwich.backend:DulwichBackend",
            summary="pure Python: needs no git in the image",
        ),
    ]
