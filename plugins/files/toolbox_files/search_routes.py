"""Bounded searches in projects, without generated files, under ``/x/files``."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from toolbox.group import Operations
from toolbox.request import RequestInfo
from toolbox.response import StreamResponse
from toolbox_files.backend import FilesBackend
from toolbox_files.errors import InvalidFilePath
from toolbox_files.models import FoundFiles
from toolbox_files.models import Match
from toolbox_files.models import RequiredText
from toolbox_files.models import SearchOptions
from toolbox_files.search.response import search_response

operations = Operations()

NOT_PROJECT = (".git", ".hg", ".svn", ".venv", "__pycache__", "node_modules")
"""Directories of version control and of dependencies."""


class ProjectSearchOptions(SearchOptions, frozen=True, kw_only=True):
    """A search with defaults that fit a project."""

    skip: Annotated[
        list[RequiredText],
        Meta(description=f"Names of directories that are not entered: {', '.join(NOT_PROJECT)}."),
    ] = msgspec.field(default_factory=lambda: list(NOT_PROJECT))
    limit: Annotated[int, Meta(ge=0, description="Maximum number of results; 0 for no limit.")] = (
        1000
    )
    seconds: Annotated[
        float,
        Meta(ge=0, le=86400, description="Maximum duration; 0 for no limit."),
    ] = 30
    gitignore: Annotated[
        bool,
        Meta(description="Omit files that .gitignore files ignore, and the content of .git."),
    ] = True


@operations.get("/x/files/search", returns=FoundFiles, errors=(InvalidFilePath,))
def search_project(
    backend: FilesBackend, query: ProjectSearchOptions, request: RequestInfo
) -> StreamResponse:
    """Find files and directories of a project by name, as ``/files/search`` does.

    By default files that ``.gitignore`` ignores and directories of dependencies and version control
    are omitted, and the search ends after 1000 results or 30 seconds, as ``X-Truncated`` states.
    """
    results = backend.search_names(query)
    return search_response(results, query, request.is_disconnected, '{"files":', "}")


@operations.get("/x/files/find", returns=list[Match], errors=(InvalidFilePath,))
def find_in_project(
    backend: FilesBackend, query: ProjectSearchOptions, request: RequestInfo
) -> StreamResponse:
    """Find lines of a project's files that contain a text, as ``/files/find`` does.

    For the defaults see the search by name.
    """
    return search_response(backend.search_lines(query), query, request.is_disconnected)
