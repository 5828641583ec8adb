"""What a backend of the group ``lsp`` can do.

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
        """For each language the server that would be used, or what is missing."""

    def start(self, server: ServerRequest) -> None:
        """Start the server; nothing to do if it runs.

        Raises LanguageUnsupported, ProjectInvalid and ServerNotInstalled.
        """

    def stop(self, server: ServerRequest) -> None:
        """End the server and forget its documents; nothing to do if it was not started."""

    def open(self, document: DocumentRequest) -> None:
        """Give the server a document. Raises DocumentUnreadable."""

    def close_document(self, document: DocumentRequest) -> None:
        """Take a document from the server; nothing to do if it has not been given it."""

    def completions(self, place: CompletionParams) -> CompletionList:
        """What could be written there. Raises DocumentUnreadable."""

    def document_symbols(self, document: DocumentRequest) -> list[Symbol]:
        """The symbols of a document. Raises DocumentUnreadable."""

    def workspace_symbols(self, query: SymbolQuery) -> list[Symbol]:
        """The symbols of the project whose names match the query."""

    def diagnostics(self, document: DiagnosticsRequest) -> Diagnostics:
        """The problems of a document. Raises DocumentUnreadable."""

    def hover(self, place: PositionRequest) -> Hover:
        """What is known of the symbol there. Raises DocumentUnreadable and FeatureMissing."""

    def definition(self, place: PositionRequest) -> list[Location]:
        """Where the symbol is defined. Raises DocumentUnreadable and FeatureMissing."""

    def references(self, place: ReferencesRequest) -> list[Location]:
        """Where the symbol is used. Raises DocumentUnreadable and FeatureMissing."""

    def rename(self, place: RenameRequest) -> Change:
        """Rename the symbol. Raises DocumentUnreadable and FeatureMissing."""

    def format(self, document: FormattingRequest) -> Change:
        """Format a document. Raises DocumentUnreadable and FeatureMissing."""
