"""Hover, definition and references."""

from __future__ import annotations

from typing import Any

import msgspec

from toolbox.request import prepare
from toolbox_lsp.documents import Document
from toolbox_lsp.models import Hover
from toolbox_lsp.models import Location
from toolbox_lsp.models import MarkupContent
from toolbox_lsp.models import Position
from toolbox_lsp.models import Range
from toolbox_lsp.operations.results import convert
from toolbox_lsp.operations.results import convert_locations
from toolbox_lsp.server.language_server import LanguageServer


class _Marked(msgspec.Struct, frozen=True):
    """MarkedString with a language, or MarkupContent."""

    value: str
    kind: str = ""
    language: str = ""


class _Hover(msgspec.Struct, frozen=True):
    contents: str | _Marked | list[str | _Marked]
    range: Range | None = None


prepare(_Hover)


def position_params(document: Document, position: Position) -> dict[str, Any]:
    """Return TextDocumentPositionParams."""
    return {
        "textDocument": {"uri": document.uri},
        "position": msgspec.to_builtins(position),
    }


def hover(server: LanguageServer, document: Document, position: Position) -> Hover:
    """Return the description of the symbol as one text."""
    server.demand("hoverProvider")
    result = server.request("textDocument/hover", position_params(document, position))
    if not result:
        return Hover(kind="plaintext", value="")
    found = convert(result, _Hover, server)
    parts = found.contents if isinstance(found.contents, list) else [found.contents]
    texts = [_markup(part) for part in parts]
    kind = "plaintext" if all(text.kind == "plaintext" for text in texts) else "markdown"
    value = "\n\n".join(text.value for text in texts if text.value.strip())
    return Hover(kind=kind, value=value, range=found.range)


def _markup(part: str | _Marked) -> MarkupContent:
    # MarkedString is deprecated but in use: markdown, or code with its language.
    if isinstance(part, str):
        return MarkupContent("markdown", part)
    if part.kind:
        return MarkupContent(part.kind, part.value)
    return MarkupContent("markdown", f"```{part.language}\n{part.value}\n```")


def definition(server: LanguageServer, document: Document, position: Position) -> list[Location]:
    """Return the definitions of the symbol."""
    server.demand("definitionProvider")
    result = server.request("textDocument/definition", position_params(document, position))
    return convert_locations(result, server)


def references(
    server: LanguageServer, document: Document, position: Position, declaration: bool
) -> list[Location]:
    """Return the references to the symbol."""
    server.demand("referencesProvider")
    params = {**position_params(document, position), "context": {"includeDeclaration": declaration}}
    return convert_locations(server.request("textDocument/references", params), server)
