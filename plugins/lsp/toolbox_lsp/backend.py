"""The Protocol of a backend of the group ``lsp``.

Any method but :meth:`LspBackend.start` and :meth:`LspBackend.stop` raises ServerNotInitialized
before ``start``; any may raise ServerFailed, ServerTimeout, RequestRefused and TooManyWaiting.
"""

from __future__ import annotations

from typing import Protocol

from toolbox_lsp.models import Change
from toolbox_lsp.models import CompletionList
from toolbox_lsp.models import CompletionParams
from toolbox_lsp.models import Diagnostics
from toolbox_lsp.models import DiagnosticsRequest
from toolbox_lsp.models import DocumentRequest
from toolbox_lsp.models import FormattingRequest
from toolbox_lsp.models import Hover
from toolbox_lsp.models import Location
from toolbox_lsp.models import PositionRequest
from toolbox_lsp.models import ReferencesRequest
from toolbox_lsp.models import RenameRequest
from toolbox_lsp.models import ServerRequest
from toolbox_lsp.models import Symbol
from toolbox_lsp.models import SymbolQuery


class LspBackend(Protocol):
    """Runs language servers, one for each language and project."""

    def details(self) -> dict[str, str]:
        """Return for each language the server that would be used, or the missing programs."""

    def start(self, server: ServerRequest) -> None:
        """Start the server, unless it is running.

        Raises LanguageUnsupported, ProjectInvalid and ServerNotInstalled.
        """

    def stop(self, server: ServerRequest) -> None:
        """Stop the server and close its documents; do nothing if it wasn't started."""

    def open(self, document: DocumentRequest) -> None:
        """Open a document in the server. Raises DocumentUnreadable."""

    def close_document(self, document: DocumentRequest) -> None:
        """Close a document in the server, if it is open."""

    def completions(self, request: CompletionParams) -> CompletionList:
        """Return completions at a position. Raises DocumentUnreadable."""

    def document_symbols(self, document: DocumentRequest) -> list[Symbol]:
        """Return the symbols of a document. Raises DocumentUnreadable."""

    def workspace_symbols(self, query: SymbolQuery) -> list[Symbol]:
        """Return the symbols of the project whose names match the query."""

    def diagnostics(self, document: DiagnosticsRequest) -> Diagnostics:
        """Return the problems of a document. Raises DocumentUnreadable."""

    def hover(self, request: PositionRequest) -> Hover:
        """Return the description of a symbol. Raises DocumentUnreadable and FeatureMissing."""

    def definition(self, request: PositionRequest) -> list[Location]:
        """Return the definitions of a symbol. Raises DocumentUnreadable and FeatureMissing."""

    def references(self, request: ReferencesRequest) -> list[Location]:
        """Return the references to a symbol. Raises DocumentUnreadable and FeatureMissing."""

    def rename(self, request: RenameRequest) -> Change:
        """Rename a symbol. Raises DocumentUnreadable and FeatureMissing."""

    def format(self, document: FormattingRequest) -> Change:
        """Format a document. Raises DocumentUnreadable and FeatureMissing."""
