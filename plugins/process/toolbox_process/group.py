"""The API group ``process``, composed of the operations of each noun."""

from __future__ import annotations

from toolbox.group import Group
from toolbox_process.backend import ProcessBackend
from toolbox_process.commands import routes as commands_routes
from toolbox_process.interpreters import routes as interpreters_routes
from toolbox_process.jobs import routes as jobs_routes
from toolbox_process.screens import routes as screens_routes
from toolbox_process.services import routes as services_routes
from toolbox_process.sessions import routes as sessions_routes
from toolbox_process.settings import ProcessSettings
from toolbox_process.terminals import routes as terminals_routes

group = Group(
    "process",
    backend=ProcessBackend,
    default_backend="local",
    settings=ProcessSettings,
    summary="Commands, code, sessions, terminals, interpreters and services",
)
group.include(
    commands_routes.operations,
    interpreters_routes.operations,
    jobs_routes.operations,
    terminals_routes.operations,
    sessions_routes.operations,
    screens_routes.operations,
    services_routes.operations,
)
