"""Searches in projects, under ``/x/files``: of what people write, within bounds."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from toolbox.request import RequestInfo
from toolbox.response import StreamAnswer
from toolbox_files.backend import FilesBackend
from toolbox_files.errors import InvalidFilePath
from toolbox_files.models import FoundFiles
from toolbox_files.models import Match
from toolbox_files.models import RequiredText
from toolbox_files.models import SearchOptions
from toolbox_files.routes import group
from toolbox_files.searching import json_answer

NOT_PROJECT = (".git", ".hg", ".svn", ".venv", "__pycache__", "node_modules")
"""Directories of version control and of dependencies."""


class ProjectSearchOptions(SearchOptions, frozen=True, kw_only=True):
    """The same for people and agents who look at a project, not at everything."""

    skip: Annotated[
        list[RequiredText],
        Meta(description=f"Names of directories that are not entered: {', '.join(NOT_PROJECT)}."),
    ] = msgspec.field(default_factory=lambda: list(NOT_PROJECT))
    limit: Annotated[int, Meta(ge=0, description="Results at most; 0 for all.")] = 1000
    seconds: Annotated[
        float,
        Meta(ge=0, le=86400, description="Time it may take; 0 for as long as it takes."),
    ] = 30
    gitignore: Annotated[
        bool,
        Meta(description="Leave out what .gitignore files do, and what is in .git."),
    ] = True


@group.get("/x/files/search", answers=FoundFiles, errors=(InvalidFilePath,))
def search_project(
    backend: FilesBackend, query: ProjectSearchOptions, request: RequestInfo
) -> StreamAnswer:
    """Find files and directories of a project by name, as ``/files/search`` does.

    Unless told otherwise it leaves out what ``.gitignore`` does, directories of dependencies and
    version control, and ends after 1000 results or 30 seconds; ``X-Truncated`` tells if so.
    """
    found = backend.search_names(query)
    return json_answer(found, query, request.client_gone, '{"files":', "}")


@group.get("/x/files/find", answers=list[Match], errors=(InvalidFilePath,))
def find_in_project(
    backend: FilesBackend, query: ProjectSearchOptions, request: RequestInfo
) -> StreamAnswer:
    """Find lines of a project's files by a text in them, as ``/files/find`` does.

    For what is left out see the search by name.
    """
    return json_answer(backend.search_lines(query), query, request.client_gone)
