"""Diagnostics: asked for where the server can be asked, else what it publishes by itself."""

from __future__ import annotations

from typing import Any

import msgspec

from toolbox.request import prepare
from toolbox_lsp import models
from toolbox_lsp.answers import read
from toolbox_lsp.documents import Document
from toolbox_lsp.models import Range
from toolbox_lsp.published import MAX_DIAGNOSTICS
from toolbox_lsp.server import LanguageServer


class _Diagnostic(msgspec.Struct, frozen=True):
    range: Range
    message: str
    severity: int | None = None
    code: int | str | None = None
    source: str | None = None


prepare(list[_Diagnostic])


def diagnose(server: LanguageServer, document: Document, wait: float) -> models.Diagnostics:
    """The problems of ``document`` as the server has it, waiting up to ``wait`` seconds for a
    server that publishes.
    """
    if server.can("diagnosticProvider"):
        params = {"textDocument": {"uri": document.uri}}
        result = server.request("textDocument/diagnostic", params)
        found: list[Any] | None = result.get("items", []) if isinstance(result, dict) else []
    else:
        found = server.published.wait(document.path, document.mark, document.version, wait)
    items = read((found or [])[:MAX_DIAGNOSTICS], list[_Diagnostic], server)
    return models.Diagnostics(
        uri=document.uri,
        complete=found is not None,
        diagnostics=[_reduce(item) for item in items],
    )


def _reduce(item: _Diagnostic) -> models.Diagnostic:
    return models.Diagnostic(
        range=item.range,
        message=item.message,
        severity=item.severity or 1,
        code="" if item.code is None else str(item.code),
        source=item.source or "",
    )
