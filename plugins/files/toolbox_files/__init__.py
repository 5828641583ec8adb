"""API group ``files``: list, read, write, search and change files."""

from __future__ import annotations

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import BackendSpec


@hookimpl
def toolbox_group() -> Group:
    from toolbox_files.group import group

    return group


@hookimpl
def toolbox_backends() -> list[BackendSpec]:
    from toolbox_files.settings import LocalSettings

    return [
        BackendSpec(
            group="files",
            name="local",
            target="toolbox_files.local:LocalFiles",
            settings=LocalSettings,
            summary="the file system of this machine, with the permissions of the service's user",
        )
    ]
