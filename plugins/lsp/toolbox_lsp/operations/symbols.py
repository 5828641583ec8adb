"""Symbols of a document or a project, as a flat list."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from toolbox.linux.clock import awake
from toolbox.request import prepare
from toolbox_lsp.documents import Document
from toolbox_lsp.errors import DocumentUnreadable
from toolbox_lsp.errors import RequestRefused
from toolbox_lsp.models import Location
from toolbox_lsp.models import Position
from toolbox_lsp.models import Range
from toolbox_lsp.models import Symbol
from toolbox_lsp.operations.results import convert
from toolbox_lsp.project import Project
from toolbox_lsp.server.language_server import LanguageServer

MAX_FILE = 1024 * 1024
"""Maximum bytes of a file that is searched for symbols."""
TIME_BUDGET = 10.0
"""Seconds to search a project's files."""
SKIPPED = frozenset({"node_modules", "__pycache__", "venv", "target", "build", "dist"})
"""Directories of third-party and generated code, which aren't searched, nor are hidden ones."""
NOWHERE = Range(Position(0, 0), Position(0, 0))


class _Location(msgspec.Struct, frozen=True):
    """Location; the range is optional in a WorkspaceSymbol."""

    uri: str
    range: Range = NOWHERE


class _Symbol(msgspec.Struct, frozen=True):
    """SymbolInformation, WorkspaceSymbol or, without ``location``, DocumentSymbol."""

    name: str
    kind: int
    location: _Location | None = None
    range: Range = NOWHERE
    children: list[_Symbol] | None = None


prepare(list[_Symbol])


def of_document(server: LanguageServer, document: Document) -> list[Symbol]:
    """Return all symbols of ``document``."""
    params = {"textDocument": {"uri": document.uri}}
    result = server.request("textDocument/documentSymbol", params)
    return list(_flatten(convert(result or [], list[_Symbol], server), document.uri))


def of_project(server: LanguageServer, project: Project, query: str) -> list[Symbol]:
    """Return the symbols that match ``query``.

    They come from the server if it supports that, else from the symbols of every document of the
    language that contains ``query``.
    """
    if server.can("workspaceSymbolProvider"):
        try:
            result: Any = server.request("workspace/symbol", {"query": query})
            return list(_flatten(convert(result or [], list[_Symbol], server), ""))
        except RequestRefused:
            pass  # typescript-language-server has no project until a document is open.
    return [
        symbol
        for path in _files_with(project, query.casefold())
        for symbol in _of_file(server, project, path)
        if query.casefold() in symbol.name.casefold()
    ]


def _of_file(server: LanguageServer, project: Project, path: Path) -> list[Symbol]:
    try:
        with project.documents.visit(server, path) as document:
            return of_document(server, document)
    except (DocumentUnreadable, RequestRefused):
        return []  # Deleted concurrently, or the server can't read it: the others still count.


def _flatten(symbols: list[_Symbol], uri: str) -> Iterator[Symbol]:
    for symbol in symbols:
        # DocumentSymbol has no location, and only it has children.
        location = symbol.location or _Location(uri, symbol.range)
        yield Symbol(symbol.kind, symbol.name, Location(location.uri, location.range))
        yield from _flatten(symbol.children or [], uri)


def _files_with(project: Project, query: str) -> Iterator[Path]:
    """Yield the project's documents whose text contains ``query``, as all with the symbol do."""
    deadline = awake() + TIME_BUDGET
    for path in _files(project.root, tuple(project.spec.extensions)):
        if awake() > deadline:
            return
        try:
            if (
                path.stat().st_size <= MAX_FILE
                and query in path.read_text("utf-8", "replace").casefold()
            ):
                yield path
        except OSError:
            continue


def _files(root: Path, extensions: tuple[str, ...]) -> Iterator[Path]:
    for directory, below, names in os.walk(root):
        # In place: os.walk enters only the directories left in the list.
        below[:] = sorted(name for name in below if name[0] != "." and name not in SKIPPED)
        for name in sorted(names):
            path = Path(directory, name)
            if name.lower().endswith(extensions) and path.is_file():
                yield path
