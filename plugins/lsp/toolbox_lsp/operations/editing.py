"""Renaming and formatting: the edits that a server proposes, and writing them to files."""

from __future__ import annotations

import contextlib
import functools
import os
import re
from pathlib import Path
from typing import Any
from typing import NamedTuple

import msgspec

from toolbox.atomic.writing import replacing
from toolbox.atomic.writing import status
from toolbox.atomic.writing import write_all
from toolbox.errors import Conflict
from toolbox.errors import printable
from toolbox.request import prepare
from toolbox.response import file_etag
from toolbox_lsp.documents import Document
from toolbox_lsp.errors import DocumentUnreadable
from toolbox_lsp.errors import ServerFailed
from toolbox_lsp.models import Change
from toolbox_lsp.models import DocumentEdits
from toolbox_lsp.models import FormattingRequest
from toolbox_lsp.models import Position
from toolbox_lsp.models import RenameRequest
from toolbox_lsp.models import TextEdit
from toolbox_lsp.operations.navigation import position_params
from toolbox_lsp.operations.results import convert
from toolbox_lsp.paths import uri_path
from toolbox_lsp.server.language_server import LanguageServer

LINE_END = re.compile(r"\r\n|\n|\r")
"""A line ending by the protocol; ``str.splitlines`` accepts more."""


class _Versioned(msgspec.Struct, frozen=True):
    uri: str


class _DocumentChange(msgspec.Struct, frozen=True, rename="camel"):
    """TextDocumentEdit; we announce no support for creating, renaming or deleting files."""

    text_document: _Versioned
    edits: list[TextEdit]


class _WorkspaceEdit(msgspec.Struct, frozen=True, rename="camel"):
    changes: dict[str, list[TextEdit]] | None = None
    document_changes: list[_DocumentChange] | None = None


prepare(_WorkspaceEdit)
prepare(list[TextEdit])


def rename(server: LanguageServer, document: Document, request: RenameRequest) -> Change:
    """Rename the symbol in all documents."""
    server.demand("renameProvider")
    params = {**position_params(document, request.position), "newName": request.new_name}
    result = server.request("textDocument/rename", params)
    found = convert(result or {}, _WorkspaceEdit, server)
    documents = [
        DocumentEdits(change.text_document.uri, change.edits)
        for change in found.document_changes or []
    ] or [DocumentEdits(uri, edits) for uri, edits in (found.changes or {}).items()]
    return _change([document for document in documents if document.edits], request.apply, server)


def format_document(
    server: LanguageServer, document: Document, request: FormattingRequest
) -> Change:
    """Format the document."""
    server.demand("documentFormattingProvider")
    options = {"tabSize": request.tab_size, "insertSpaces": request.insert_spaces}
    params: dict[str, Any] = {"textDocument": {"uri": document.uri}, "options": options}
    result = server.request("textDocument/formatting", params)
    edits = convert(result or [], list[TextEdit], server)
    documents = [DocumentEdits(document.uri, edits)] if edits else []
    return _change(documents, request.apply, server)


def _change(documents: list[DocumentEdits], apply: bool, server: LanguageServer) -> Change:
    if apply:
        # Compute all texts before writing any: an invalid edit must not leave half a rename.
        write([_edited(document, server) for document in documents])
    return Change(applied=apply, documents=documents)


class EditedFile(NamedTuple):
    """A file, its status when its text was read, and its new content."""

    path: Path
    old: os.stat_result
    content: bytes


def _edited(document: DocumentEdits, server: LanguageServer) -> EditedFile:
    path = uri_path(document.uri)
    if path is None:
        raise ServerFailed(f"{server.name} proposed an edit of {document.uri}, which is not a file")
    old = status(path)
    if old is None:
        raise DocumentUnreadable(f"{printable(str(path))} doesn't exist")
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        # Positions in another encoding would be wrong, and writing it back would damage it.
        raise DocumentUnreadable(f"{printable(str(path))} is not UTF-8") from None
    return EditedFile(path, old, apply_edits(text, document.edits).encode("utf-8"))


def write(files: list[EditedFile]) -> None:
    """Write all files, after the content of all is on disk: if that fails, none is changed.

    Raises Conflict for a file that was changed concurrently, OSError.
    """
    with contextlib.ExitStack() as stack:
        for file in files:
            target = stack.enter_context(replacing(file.path, functools.partial(_check, file)))
            write_all(target, file.content)


def _check(file: EditedFile, now: os.stat_result | None) -> None:
    if now is None or file_etag(now) != file_etag(file.old):
        raise Conflict(f"{printable(str(file.path))} was changed concurrently")


def apply_edits(text: str, edits: list[TextEdit]) -> str:
    """Return ``text`` with all ``edits`` applied. Raises Conflict if two overlap."""
    starts = [0, *(match.end() for match in LINE_END.finditer(text))]
    spans = [
        (_offset(text, starts, edit.range.start), _offset(text, starts, edit.range.end), number)
        for number, edit in enumerate(edits)
    ]
    parts: list[str] = []
    done = 0
    # By position, then in the given order: that of insertions at one position (LSP 3.17).
    for start, end, number in sorted(spans):
        if start < done or end < start:
            raise Conflict("the language server proposed overlapping edits")
        parts += [text[done:start], edits[number].new_text]
        done = end
    return "".join([*parts, text[done:]])


def _offset(text: str, starts: list[int], position: Position) -> int:
    """Return the index of ``position``; past the end of a line means its end (LSP 3.17)."""
    if position.line >= len(starts):
        return len(text)
    start = starts[position.line]
    end = starts[position.line + 1] if position.line + 1 < len(starts) else len(text)
    line = text[start:end].rstrip("\r\n")
    units = 0
    for index, character in enumerate(line):
        if units >= position.character:
            return start + index
        # A character outside the BMP is a surrogate pair in UTF-16.
        units += 2 if ord(character) > 0xFFFF else 1
    return start + len(line)
