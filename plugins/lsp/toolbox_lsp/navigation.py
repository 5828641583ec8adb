"""Hover, definition and references."""

from __future__ import annotations

from typing import Any

import msgspec

from toolbox.request import prepare
from toolbox_lsp.answers import read
from toolbox_lsp.answers import read_locations
from toolbox_lsp.documents import Document
from toolbox_lsp.models import Hover
from toolbox_lsp.models import Location
from toolbox_lsp.models import MarkupContent
from toolbox_lsp.models import Position
from toolbox_lsp.models import Range
from toolbox_lsp.server import LanguageServer


class _Marked(msgspec.Struct, frozen=True):
    """MarkedString with a language, or MarkupContent."""

    value: str
    kind: str = ""
    language: str = ""


class _Hover(msgspec.Struct, frozen=True):
    contents: str | _Marked | list[str | _Marked]
    range: Range | None = None


prepare(_Hover)


def place(document: Document, position: Position) -> dict[str, Any]:
    """TextDocumentPositionParams."""
    return {
        "textDocument": {"uri": document.uri},
        "position": msgspec.to_builtins(position),
    }


def hover(server: LanguageServer, document: Document, position: Position) -> Hover:
    """What is known of the symbol there, as one text."""
    server.demand("hoverProvider")
    result = server.request("textDocument/hover", place(document, position))
    if not result:
        return Hover(kind="plaintext", value="")
    found = read(result, _Hover, server)
    parts = found.contents if isinstance(found.contents, list) else [found.contents]
    texts = [_markup(part) for part in parts]
    kind = "plaintext" if all(text.kind == "plaintext" for text in texts) else "markdown"
    value = "\n\n".join(text.value for text in texts if text.value.strip())
    return Hover(kind=kind, value=value, range=found.range)


def _markup(part: str | _Marked) -> MarkupContent:
    if isinstance(part, str):
        return MarkupContent("markdown", part)
    if part.kind:
        return MarkupContent(part.kind, part.value)
    return MarkupContent("markdown", f"```{part.language}\n{part.value}\n```")


def definition(server: LanguageServer, document: Document, position: Position) -> list[Location]:
    """Where the symbol is defined."""
    server.demand("definitionProvider")
    result = server.request("textDocument/definition", place(document, position))
    return read_locations(result, server)


def references(
    server: LanguageServer, document: Document, position: Position, declaration: bool
) -> list[Location]:
    """Where the symbol is used."""
    server.demand("referencesProvider")
    params = {**place(document, position), "context": {"includeDeclaration": declaration}}
    return read_locations(server.request("textDocument/references", params), server)
