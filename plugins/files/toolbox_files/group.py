"""The API group ``files``, composed of the operations of each module."""

from __future__ import annotations

from toolbox.group import Group
from toolbox_files import agents_routes
from toolbox_files import archive_routes
from toolbox_files import routes
from toolbox_files import search_routes
from toolbox_files import x_routes
from toolbox_files.backend import FilesBackend

group = Group(
    "files",
    backend=FilesBackend,
    default_backend="local",
    summary="List, read, write, search and change files",
)
group.include(
    routes.operations,
    archive_routes.operations,
    x_routes.operations,
    search_routes.operations,
    agents_routes.operations,
)
