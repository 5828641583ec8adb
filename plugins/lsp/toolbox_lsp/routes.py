"""The LSP operations."""

from __future__ import annotations

from toolbox.group import Group
from toolbox_lsp.backend import LspBackend
from toolbox_lsp.errors import DocumentUnreadable
from toolbox_lsp.errors import FeatureMissing
from toolbox_lsp.errors import LanguageUnsupported
from toolbox_lsp.errors import ProjectInvalid
from toolbox_lsp.errors import RequestRefused
from toolbox_lsp.errors import ServerFailed
from toolbox_lsp.errors import ServerNotInitialized
from toolbox_lsp.errors import ServerNotInstalled
from toolbox_lsp.errors import ServerTimeout
from toolbox_lsp.errors import TooManyWaiting
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
from toolbox_lsp.settings import LspSettings

group = Group(
    "lsp",
    backend=LspBackend,
    default_backend="local",
    settings=LspSettings,
    summary="Completions, symbols and diagnostics by language servers",
)

STARTING = (LanguageUnsupported, ProjectInvalid, ServerNotInstalled, ServerFailed, ServerTimeout)
USING = (
    ServerNotInitialized,
    DocumentUnreadable,
    RequestRefused,
    ServerFailed,
    ServerTimeout,
    TooManyWaiting,
)
EXTRA = (*USING, FeatureMissing)


@group.post("/lsp/start", errors=STARTING)
def start(backend: LspBackend, body: ServerRequest) -> None:
    """Start the language server of a project, unless it is running."""
    backend.start(body)


@group.post("/lsp/stop", errors=(ProjectInvalid,))
def stop(backend: LspBackend, body: ServerRequest) -> None:
    """End the language server of a project; nothing to do if it was not started."""
    backend.stop(body)


@group.post("/lsp/did-open", errors=USING)
def did_open(backend: LspBackend, body: DocumentRequest) -> None:
    """Give the language server a document, as it is on disk."""
    backend.open(body)


@group.post("/lsp/did-close", errors=USING)
def did_close(backend: LspBackend, body: DocumentRequest) -> None:
    """Take a document from the language server."""
    backend.close_document(body)


@group.post("/lsp/completions", errors=USING)
def completions(backend: LspBackend, body: CompletionParams) -> CompletionList:
    """Return completions at a position."""
    return backend.completions(body)


@group.get("/lsp/document-symbols", errors=USING)
def document_symbols(backend: LspBackend, query: DocumentRequest) -> list[Symbol]:
    """List the symbols of a document."""
    return backend.document_symbols(query)


@group.get("/lsp/workspacesymbols", errors=USING)
def workspace_symbols(backend: LspBackend, query: SymbolQuery) -> list[Symbol]:
    """Find symbols of a project by name."""
    return backend.workspace_symbols(query)


@group.post("/x/lsp/diagnostics", errors=USING)
def diagnostics(backend: LspBackend, body: DiagnosticsRequest) -> Diagnostics:
    """List the problems of a document, as it is on disk."""
    return backend.diagnostics(body)


@group.post("/x/lsp/hover", errors=EXTRA)
def hover(backend: LspBackend, body: PositionRequest) -> Hover:
    """Describe the symbol at a position."""
    return backend.hover(body)


@group.post("/x/lsp/definition", errors=EXTRA)
def definition(backend: LspBackend, body: PositionRequest) -> list[Location]:
    """Return the definitions of the symbol at a position."""
    return backend.definition(body)


@group.post("/x/lsp/references", errors=EXTRA)
def references(backend: LspBackend, body: ReferencesRequest) -> list[Location]:
    """Return the references to the symbol at a position."""
    return backend.references(body)


@group.post("/x/lsp/rename", errors=EXTRA)
def rename(backend: LspBackend, body: RenameRequest) -> Change:
    """Rename the symbol at a position in all documents; write the files only if ``apply``."""
    return backend.rename(body)


@group.post("/x/lsp/formatting", errors=EXTRA)
def formatting(backend: LspBackend, body: FormattingRequest) -> Change:
    """Format a document; write the file only if ``apply``."""
    return backend.format(body)
