"""Rename and formatting: the edits a server proposes, and writing them to the files."""

from __future__ import annotations

import contextlib
import functools
import os
import re
from pathlib import Path
from typing import Any
from typing import NamedTuple

import msgspec

from toolbox.errors import Conflict
from toolbox.errors import printable
from toolbox.request import prepare
from toolbox.response import file_etag
from toolbox.writing import replacing
from toolbox.writing import status
from toolbox.writing import write_all
from toolbox_lsp.answers import read
from toolbox_lsp.documents import Document
from toolbox_lsp.errors import DocumentUnreadable
from toolbox_lsp.errors import ServerFailed
from toolbox_lsp.models import Change
from toolbox_lsp.models import DocumentEdits
from toolbox_lsp.models import FormattingRequest
from toolbox_lsp.models import Position
from toolbox_lsp.models import RenameRequest
from toolbox_lsp.models import TextEdit
from toolbox_lsp.navigation import place
from toolbox_lsp.paths import uri_path
from toolbox_lsp.server import LanguageServer

LINE_END = re.compile(r"\r\n|\n|\r")
"""What ends a line by the protocol, which is less than Python's ``splitlines`` takes for one."""


class _Versioned(msgspec.Struct, frozen=True):
    uri: str


class _DocumentChange(msgspec.Struct, frozen=True, rename="camel"):
    """TextDocumentEdit; we never announced that files may be created, renamed or deleted."""

    text_document: _Versioned
    edits: list[TextEdit]


class _WorkspaceEdit(msgspec.Struct, frozen=True, rename="camel"):
    changes: dict[str, list[TextEdit]] | None = None
    document_changes: list[_DocumentChange] | None = None


prepare(_WorkspaceEdit)
prepare(list[TextEdit])


def rename(server: LanguageServer, document: Document, request: RenameRequest) -> Change:
    """Give the symbol another name wherever it is used."""
    server.demand("renameProvider")
    params = {**place(document, request.position), "newName": request.new_name}
    result = server.request("textDocument/rename", params)
    found = read(result or {}, _WorkspaceEdit, server)
    documents = [
        DocumentEdits(each.text_document.uri, each.edits) for each in found.document_changes or []
    ] or [DocumentEdits(uri, edits) for uri, edits in (found.changes or {}).items()]
    return _change([each for each in documents if each.edits], request.apply, server)


def format_document(
    server: LanguageServer, document: Document, request: FormattingRequest
) -> Change:
    """Lay the document out anew."""
    server.demand("documentFormattingProvider")
    options = {"tabSize": request.tab_size, "insertSpaces": request.insert_spaces}
    params: dict[str, Any] = {"textDocument": {"uri": document.uri}, "options": options}
    result = server.request("textDocument/formatting", params)
    edits = read(result or [], list[TextEdit], server)
    documents = [DocumentEdits(document.uri, edits)] if edits else []
    return _change(documents, request.apply, server)


def _change(documents: list[DocumentEdits], apply: bool, server: LanguageServer) -> Change:
    if apply:
        # All new texts first: edits that can't be applied must not leave half a rename behind.
        write([_edited(each, server) for each in documents])
    return Change(applied=apply, documents=documents)


class Edited(NamedTuple):
    """A file, what it was when its text was read, and its new content."""

    path: Path
    old: os.stat_result
    content: bytes


def _edited(document: DocumentEdits, server: LanguageServer) -> Edited:
    path = uri_path(document.uri)
    if path is None:
        raise ServerFailed(f"{server.name} would change {document.uri}, which is no file")
    old = status(path)
    if old is None:
        raise DocumentUnreadable(f"{printable(str(path))} is not there")
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise DocumentUnreadable(f"{printable(str(path))} is not UTF-8") from None
    return Edited(path, old, apply_edits(text, document.edits).encode("utf-8"))


def write(files: list[Edited]) -> None:
    """Write all files: none is changed unless there is room for all.

    Raises Conflict for one that somebody else has changed, OSError.
    """
    with contextlib.ExitStack() as stack:
        for each in files:
            target = stack.enter_context(replacing(each.path, functools.partial(_check, each)))
            write_all(target, each.content)


def _check(file: Edited, now: os.stat_result | None) -> None:
    if now is None or file_etag(now) != file_etag(file.old):
        raise Conflict(f"{printable(str(file.path))} has been changed meanwhile")


def apply_edits(text: str, edits: list[TextEdit]) -> str:
    """``text`` with all ``edits`` made at once. Raises Conflict if two overlap."""
    starts = [0, *(match.end() for match in LINE_END.finditer(text))]
    spans = [
        (_offset(text, starts, edit.range.start), _offset(text, starts, edit.range.end), number)
        for number, edit in enumerate(edits)
    ]
    parts: list[str] = []
    done = 0
    for start, end, number in sorted(spans):
        if start < done or end < start:
            raise Conflict("the language server proposed edits that overlap")
        parts += [text[done:start], edits[number].new_text]
        done = end
    return "".join([*parts, text[done:]])


def _offset(text: str, starts: list[int], position: Position) -> int:
    """The index of ``position``; past the end of a line or the text means their end (LSP 3.17)."""
    if position.line >= len(starts):
        return len(text)
    start = starts[position.line]
    end = starts[position.line + 1] if position.line + 1 < len(starts) else len(text)
    line = text[start:end].rstrip("\r\n")
    units = 0
    for index, character in enumerate(line):
        if units >= position.character:
            return start + index
        units += 2 if ord(character) > 0xFFFF else 1
    return start + len(line)
