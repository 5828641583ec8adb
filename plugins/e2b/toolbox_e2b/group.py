"""The group ``e2b``."""

from __future__ import annotations

from toolbox.group import Group
from toolbox_e2b.backend import E2bBackend
from toolbox_e2b.control import routes as control
from toolbox_e2b.errors import ROOT
from toolbox_e2b.errors import HttpError
from toolbox_e2b.errors import ProcedureError
from toolbox_e2b.errors import write_error
from toolbox_e2b.filesystem import routes as filesystem
from toolbox_e2b.http import files
from toolbox_e2b.http import machine
from toolbox_e2b.process import routes as process
from toolbox_e2b.settings import E2bSettings

group = Group(
    "e2b",
    backend=E2bBackend,
    default_backend="local",
    settings=E2bSettings,
    summary="E2B's clients run on it unchanged",
    root=ROOT,
    error_source="E2B",
    error_writer=write_error,
    error_types=(ProcedureError, HttpError),
    token_headers=("X-Access-Token", "X-API-Key"),
)
group.include(
    process.operations,
    filesystem.operations,
    files.operations,
    machine.operations,
    control.operations,
)
