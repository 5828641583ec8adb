"""Diagnostics: pulled where the server supports that, else those that it publishes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from toolbox.request import prepare
from toolbox_lsp import models
from toolbox_lsp.documents import Document
from toolbox_lsp.documents import Documents
from toolbox_lsp.models import Range
from toolbox_lsp.operations import tsserver
from toolbox_lsp.operations.results import convert
from toolbox_lsp.server.language_server import LanguageServer
from toolbox_lsp.server.published import MAX_DIAGNOSTICS
from toolbox_lsp.server.published import SETTLE

SETTLE_SLOWLY = 2.0
"""The same as ``SETTLE``, if a publication may still be for the previous text."""


class _Diagnostic(msgspec.Struct, frozen=True):
    range: Range
    message: str
    severity: int | None = None
    code: int | str | None = None
    source: str | None = None


prepare(list[_Diagnostic])


def diagnose(
    server: LanguageServer, documents: Documents, path: Path, wait: float
) -> models.Diagnostics:
    """Return the problems of a document, for its and other files' current content.

    Waits up to ``wait`` seconds for a server that only publishes. Raises DocumentUnreadable.
    """
    # Thorough: problems depend on the current content of other files.
    all_known = server.send_changes(thorough=True)
    document = documents.ensure(server, path)
    if server.can("diagnosticProvider"):
        found = _pull(server, document, wait)
    else:
        found = _published(server, documents, document, wait)
    items = convert((found or [])[:MAX_DIAGNOSTICS], list[_Diagnostic], server)
    return models.Diagnostics(
        uri=document.uri,
        complete=all_known and found is not None,
        diagnostics=[_reduce(item) for item in items],
    )


def _pull(server: LanguageServer, document: Document, wait: float) -> list[Any] | None:
    """Pull them, once the server has processed changed files."""
    if not server.wait_for_refresh(wait):
        return None
    result = server.request("textDocument/diagnostic", {"textDocument": {"uri": document.uri}})
    return result.get("items", []) if isinstance(result, dict) else []


def _published(
    server: LanguageServer, documents: Documents, document: Document, wait: float
) -> list[Any] | None:
    """Wait for the publication for the document's and other files' current content."""
    if document.revision != server.revision:
        # Most servers check a document only when it is sent.
        documents.renew(server, document)
    if tsserver.is_available(server):
        return tsserver.diagnostics(server, document)
    settle = SETTLE_SLOWLY if document.hurried else SETTLE
    published = server.published
    return published.wait(document.path, document.mark, document.version, wait, settle)


def _reduce(item: _Diagnostic) -> models.Diagnostic:
    return models.Diagnostic(
        range=item.range,
        message=item.message,
        severity=item.severity or 1,
        code="" if item.code is None else str(item.code),
        source=item.source or "",
    )
