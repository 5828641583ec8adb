"""Symbols of a document and of a project, always flat."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from toolbox.request import prepare
from toolbox_lsp.answers import read
from toolbox_lsp.documents import Document
from toolbox_lsp.errors import DocumentUnreadable
from toolbox_lsp.errors import RequestRefused
from toolbox_lsp.models import Location
from toolbox_lsp.models import Position
from toolbox_lsp.models import Range
from toolbox_lsp.models import Symbol
from toolbox_lsp.project import Project
from toolbox_lsp.server import LanguageServer

MAX_FILE = 1024 * 1024
"""Bytes of a file in which symbols are looked for without the server's help."""
TIME_BUDGET = 10.0
"""Seconds for that, in the whole project."""
SKIPPED = frozenset({"node_modules", "__pycache__", "venv", "target", "build", "dist"})
"""Directories that hold other people's code, beside those whose names begin with a dot."""
NOWHERE = Range(Position(0, 0), Position(0, 0))


class _Place(msgspec.Struct, frozen=True):
    """Location; servers that resolve lazily leave the range of a WorkspaceSymbol out."""

    uri: str
    range: Range = NOWHERE


class _Symbol(msgspec.Struct, frozen=True):
    """SymbolInformation, WorkspaceSymbol or, without ``location``, DocumentSymbol."""

    name: str
    kind: int
    location: _Place | None = None
    range: Range = NOWHERE
    children: list[_Symbol] | None = None


prepare(list[_Symbol])


def of_document(server: LanguageServer, document: Document) -> list[Symbol]:
    """Every symbol of ``document``."""
    params = {"textDocument": {"uri": document.uri}}
    result = server.request("textDocument/documentSymbol", params)
    return list(_flatten(read(result or [], list[_Symbol], server), document.uri))


def of_project(server: LanguageServer, project: Project, query: str) -> list[Symbol]:
    """The symbols that match ``query``: by the server if it can, else by looking for ``query`` in
    the symbols of every document of the language.
    """
    if server.can("workspaceSymbolProvider"):
        try:
            result: Any = server.request("workspace/symbol", {"query": query})
            return list(_flatten(read(result or [], list[_Symbol], server), ""))
        except RequestRefused:
            pass  # typescript-language-server knows no project until a document is open.
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
        return []  # It went away meanwhile, or the server can't read it: the others still count.


def _flatten(symbols: list[_Symbol], uri: str) -> Iterator[Symbol]:
    for symbol in symbols:
        place = symbol.location or _Place(uri, symbol.range)
        yield Symbol(symbol.kind, symbol.name, Location(place.uri, place.range))
        yield from _flatten(symbol.children or [], uri)


def _files_with(project: Project, query: str) -> Iterator[Path]:
    """The project's documents in whose text ``query`` is: no symbol is where its name isn't."""
    deadline = time.monotonic() + TIME_BUDGET
    for path in _files(project.root, tuple(project.spec.extensions)):
        if time.monotonic() > deadline:
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
        below[:] = sorted(name for name in below if name[0] != "." and name not in SKIPPED)
        for name in sorted(names):
            path = Path(directory, name)
            if name.lower().endswith(extensions) and path.is_file():
                yield path
