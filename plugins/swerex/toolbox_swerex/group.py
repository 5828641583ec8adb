"""The group ``swerex``."""

from __future__ import annotations

import msgspec

from toolbox.errors import ToolboxError
from toolbox.group import Group
from toolbox_swerex import routes
from toolbox_swerex.backend import Runtime
from toolbox_swerex.models import ROOT as ROOT
from toolbox_swerex.models import Failure
from toolbox_swerex.models import Refusal
from toolbox_swerex.settings import RuntimeSettings

FIRST = frozenset(
    (
        *("", "is_alive", "create_session", "run_in_session", "close_session", "close"),
        *("execute", "read_file", "write_file", "upload"),
    )
)
"""First segments of the paths of the runtime."""


def write_error(error: ToolboxError, path: str) -> bytes:
    """Return the body of an error that is none of a command."""
    return msgspec.json.encode(Refusal(detail=error.message, code=error.code, path=path))


group = Group(
    "swerex",
    backend=Runtime,
    default_backend="local",
    settings=RuntimeSettings,
    summary="The remote runtime of SWE-ReX",
    root=ROOT,
    error_writer=write_error,
    error_types=(Refusal, Failure),
    token_headers=("X-API-Key",),
)
group.include(routes.operations)
