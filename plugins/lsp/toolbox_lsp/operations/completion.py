"""Completions, reduced to the fields that the SDKs know."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from toolbox.request import prepare
from toolbox_lsp.documents import Document
from toolbox_lsp.models import CompletionContext
from toolbox_lsp.models import CompletionItem
from toolbox_lsp.models import CompletionList
from toolbox_lsp.models import MarkupContent
from toolbox_lsp.models import Position
from toolbox_lsp.models import Range
from toolbox_lsp.operations.editing import LINE_END
from toolbox_lsp.operations.results import convert
from toolbox_lsp.server.language_server import LanguageServer

_WORD = re.compile(r"\w*\Z")


class _Edit(msgspec.Struct, frozen=True, rename="camel"):
    """TextEdit or InsertReplaceEdit."""

    new_text: str
    range: Range | None = None
    insert: Range | None = None


class _Item(msgspec.Struct, frozen=True, rename="camel"):
    """CompletionItem as servers send it."""

    label: str
    kind: int | None = None
    detail: str | None = None
    documentation: str | MarkupContent | None = None
    sort_text: str | None = None
    filter_text: str | None = None
    insert_text: str | None = None
    text_edit: _Edit | None = None
    text_edit_text: str | None = None


class _List(msgspec.Struct, frozen=True, rename="camel"):
    items: list[_Item]
    is_incomplete: bool = False


prepare(_List)


def complete(
    server: LanguageServer,
    document: Document,
    position: Position,
    context: CompletionContext | None,
) -> CompletionList:
    """Return completions: servers respond with a CompletionList, an array or null."""
    params: dict[str, Any] = {
        "textDocument": {"uri": document.uri},
        "position": msgspec.to_builtins(position),
    }
    if context is not None:
        params["context"] = msgspec.to_builtins(context)
        # The protocol has an optional field, not null.
        if context.trigger_character is None:
            del params["context"]["triggerCharacter"]
    result = server.request("textDocument/completion", params)
    if not isinstance(result, dict):
        result = {"items": result or []}
    found = convert(result, _List, server)
    # Only edits need the line, which costs reading the file.
    line = _line(document, position) if any(item.text_edit for item in found.items) else b""
    return CompletionList(
        is_incomplete=found.is_incomplete,
        items=[_reduce(item, _before_word(item.text_edit, position, line)) for item in found.items],
    )


def _reduce(item: _Item, before: str) -> CompletionItem:
    text = item.documentation
    # An edit precedes insertText (LSP 3.17), and the response has no field for its range.
    insertion = item.insert_text or item.text_edit_text
    if item.text_edit:
        insertion = item.text_edit.new_text.removeprefix(before)
    return CompletionItem(
        label=item.label,
        kind=item.kind,
        detail=item.detail,
        documentation=MarkupContent("plaintext", text) if isinstance(text, str) else text,
        sort_text=item.sort_text,
        filter_text=item.filter_text and item.filter_text.removeprefix(before),
        insert_text=insertion,
    )


def _before_word(edit: _Edit | None, position: Position, line: bytes) -> str:
    """Return the text that ``edit`` replaces before the word, such as the dot of ``.name``."""
    replaced = (edit.range or edit.insert) if edit else None
    if replaced is None or replaced.start.line != position.line:
        return ""
    text = line[2 * replaced.start.character : 2 * position.character]
    return _WORD.sub("", text.decode("utf-16-le", "replace"))


def _line(document: Document, position: Position) -> bytes:
    """Return the line in UTF-16, whose units the protocol counts; empty if it was deleted."""
    try:
        lines = LINE_END.split(document.path.read_bytes().decode("utf-8", "replace"))
    except OSError:
        return b""
    return lines[position.line].encode("utf-16-le") if position.line < len(lines) else b""
