"""API group ``process``: commands, code, sessions, terminals and interpreters."""

from __future__ import annotations

from toolbox import hookimpl
from toolbox.group import Group
from toolbox.plugins import Backend
from toolbox_process.settings import LocalSettings

__version__ = "0.1.0"


@hookimpl
def toolbox_group() -> Group:
    # Imported for the operations they add to the group.
    from toolbox_process import interpreter_routes  # noqa: F401
    from toolbox_process import job_routes  # noqa: F401
    from toolbox_process import pty_routes  # noqa: F401
    from toolbox_process import session_routes  # noqa: F401
    from toolbox_process.routes import group

    return group


@hookimpl
def toolbox_backends() -> list[Backend]:
    return [
        Backend(
            group="process",
            name="local",
            target="toolbox_process.local:LocalProcess",
            settings=LocalSettings,
            summary="processes of this machine, as the user the service runs as",
        )
    ]
