"""The requests and responses of the LSP operations.

Positions are the protocol's: lines and characters from 0, characters in UTF-16 code units.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Text = Annotated[str, Meta(min_length=1)]
Index = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class ServerRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A server, identified by its language and its project's directory."""

    language_id: Text
    path_to_project: Text


class DocumentRequest(ServerRequest, frozen=True, kw_only=True, rename="camel"):
    """A document: ``file://`` and a path.

    The path is absolute, or relative to the service's working directory or the project. It may be
    percent-encoded or, as the SDKs send it, not.
    """

    uri: Text


class Position(msgspec.Struct, frozen=True):
    """A position between two characters."""

    line: Index
    character: Index


class CompletionContext(msgspec.Struct, frozen=True, rename="camel"):
    """The trigger of a completion: 1 invoked, 2 a character, 3 an incomplete list."""

    trigger_kind: Annotated[int, Meta(ge=1)]
    trigger_character: str | None = None


class PositionRequest(DocumentRequest, frozen=True, kw_only=True, rename="camel"):
    """A position in a document."""

    position: Position


class CompletionParams(PositionRequest, frozen=True, kw_only=True, rename="camel"):
    """A position to complete at."""

    context: CompletionContext | None = None


class SymbolQuery(ServerRequest, frozen=True, kw_only=True, rename="camel"):
    """A text to find in the names of a project's symbols."""

    query: Text


class Range(msgspec.Struct, frozen=True):
    """A range from ``start`` up to, not including, ``end``."""

    start: Position
    end: Position


class Location(msgspec.Struct, frozen=True):
    """A range in a document."""

    uri: str
    range: Range


class Symbol(msgspec.Struct, frozen=True):
    """A symbol; ``kind`` is the protocol's SymbolKind (5 class, 6 method, 12 function ...)."""

    kind: int
    name: str
    location: Location


class MarkupContent(msgspec.Struct, frozen=True):
    """Text, ``plaintext`` or ``markdown``."""

    kind: str
    value: str


class CompletionItem(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A suggestion. ``documentation`` is always an object: the SDKs reject text."""

    label: str
    kind: int | None = None
    detail: str | None = None
    documentation: MarkupContent | None = None
    sort_text: str | None = None
    filter_text: str | None = None
    insert_text: str | None = None


class CompletionList(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Suggestions; if ``is_incomplete``, further typing may give others."""

    is_incomplete: bool
    items: list[CompletionItem]


# Beyond the Daytona Toolbox API, under /x/lsp


class DiagnosticsRequest(DocumentRequest, frozen=True, kw_only=True, rename="camel"):
    """A document, and the seconds to wait for a server that has published nothing yet."""

    wait: Annotated[float, Meta(ge=0, le=120)] = 10.0


class Diagnostic(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem. ``severity``: 1 error, 2 warning, 3 information, 4 hint."""

    range: Range
    message: str
    severity: int = 1
    code: str = ""
    source: str = ""


class Diagnostics(msgspec.Struct, frozen=True, kw_only=True):
    """The problems of a document as it is on disk.

    ``complete`` is false if the server reported nothing for this content and the current files
    around it in time, or if there are too many files to check: the list means nothing then.
    """

    uri: str
    complete: bool
    diagnostics: list[Diagnostic]


class Hover(msgspec.Struct, frozen=True, kw_only=True):
    """A description of a symbol; ``value`` is empty if there is none."""

    kind: str
    value: str
    range: Range | None = None


class ReferencesRequest(PositionRequest, frozen=True, kw_only=True, rename="camel"):
    """A symbol, and whether its declaration counts as a reference."""

    include_declaration: bool = True


class RenameRequest(PositionRequest, frozen=True, kw_only=True, rename="camel"):
    """A symbol's new name, and whether to write the change to the files."""

    new_name: Text
    apply: bool = False


class FormattingRequest(DocumentRequest, frozen=True, kw_only=True, rename="camel"):
    """Formatting options, and whether to write the change to the file."""

    tab_size: Annotated[int, Meta(ge=1, le=64)] = 4
    insert_spaces: bool = True
    apply: bool = False


class TextEdit(msgspec.Struct, frozen=True, rename="camel"):
    """A range and the text that replaces it."""

    range: Range
    new_text: str


class DocumentEdits(msgspec.Struct, frozen=True):
    """The edits of one document: none overlap, and all ranges refer to the old text."""

    uri: str
    edits: list[TextEdit]


class Change(msgspec.Struct, frozen=True):
    """Edits of any number of documents, and whether they were written to the files."""

    applied: bool
    documents: list[DocumentEdits]
