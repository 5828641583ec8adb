"""API group ``files``: list, read, write, search and change files."""

from __future__ import annotations

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import Backend

__version__ = "0.1.0"


@hookimpl
def toolbox_group() -> Group:
    from toolbox_files import extensions

    return extensions.group


@hookimpl
def toolbox_backends() -> list[Backend]:
    from toolbox_files.settings import LocalSettings

    return [
        Backend(
            group="files",
            name="local",
            target="toolbox_files.local:LocalFiles",
            settings=LocalSettings,
            summary="the file system of this machine, as the service's user may use it",
        )
    ]
