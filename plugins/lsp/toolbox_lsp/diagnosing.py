"""Diagnostics: asked for where the server can be asked, else what it publishes by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from toolbox.request import prepare
from toolbox_lsp import models
from toolbox_lsp import tsserver
from toolbox_lsp.answers import read
from toolbox_lsp.documents import Document
from toolbox_lsp.documents import Documents
from toolbox_lsp.models import Range
from toolbox_lsp.published import MAX_DIAGNOSTICS
from toolbox_lsp.published import SETTLE
from toolbox_lsp.server import LanguageServer

SLOWLY = 2.0
"""As ``SETTLE``, if what is published may still be of the text before."""


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
    """The problems of a document, as it and the files around it are on disk.

    Waits up to ``wait`` seconds for a server that speaks when it likes. Raises DocumentUnreadable.
    """
    whole = server.tell_changes(thoroughly=True)
    document = documents.ensure(server, path)
    if server.can("diagnosticProvider"):
        found = _pull(server, document, wait)
    else:
        found = _published(server, documents, document, wait)
    items = read((found or [])[:MAX_DIAGNOSTICS], list[_Diagnostic], server)
    return models.Diagnostics(
        uri=document.uri,
        complete=whole and found is not None,
        diagnostics=[_reduce(item) for item in items],
    )


def _pull(server: LanguageServer, document: Document, wait: float) -> list[Any] | None:
    """Ask for them, when the server has noticed that files have changed."""
    if not server.has_noticed(wait):
        return None
    result = server.request("textDocument/diagnostic", {"textDocument": {"uri": document.uri}})
    return result.get("items", []) if isinstance(result, dict) else []


def _published(
    server: LanguageServer, documents: Documents, document: Document, wait: float
) -> list[Any] | None:
    """What is published after the server has looked at the document as everything is now."""
    if document.revision != server.revision:
        documents.renew(server, document)
    if tsserver.can_be_asked(server):
        return tsserver.diagnostics(server, document)
    settle = SLOWLY if document.hurried else SETTLE
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
