"""API group ``files``: list, read, write, search and change files."""

from __future__ import annotations

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import Backend

__version__ = "0.1.0"


@hookimpl
def toolbox_group() -> Group:
    # Each adds its operations to the group.
    from toolbox_files import archiving  # noqa: F401
    from toolbox_files import extensions  # noqa: F401
    from toolbox_files import projects  # noqa: F401
    from toolbox_files.routes import group

    return group


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
