"""Diagnostics pulled from tsserver, where typescript-language-server forwards requests to it.

The diagnostics that it publishes come in parts, some of them outdated, and without a version.
"""

from __future__ import annotations

from typing import Any

import msgspec

from toolbox.request import prepare
from toolbox_lsp.documents import Document
from toolbox_lsp.operations.results import convert
from toolbox_lsp.server.language_server import LanguageServer

COMMAND = "typescript.tsserverRequest"
_KINDS = ("syntacticDiagnosticsSync", "semanticDiagnosticsSync", "suggestionDiagnosticsSync")
_SEVERITIES = {"error": 1, "warning": 2, "message": 3, "suggestion": 4}


class _Location(msgspec.Struct, frozen=True):
    line: int
    offset: int


class _Problem(msgspec.Struct, frozen=True):
    start: _Location
    end: _Location
    text: str
    category: str = "error"
    code: int | None = None
    source: str | None = None


class _Response(msgspec.Struct, frozen=True):
    body: list[_Problem] = []


prepare(_Response)


def is_available(server: LanguageServer) -> bool:
    """Report whether the server forwards requests to tsserver."""
    offered = server.capabilities.get("executeCommandProvider")
    return isinstance(offered, dict) and COMMAND in (offered.get("commands") or [])


def diagnostics(server: LanguageServer, document: Document) -> list[dict[str, Any]]:
    """Return LSP diagnostics of ``document``. Raises as :meth:`LanguageServer.request`."""
    return [
        _reduce(problem)
        for kind in _KINDS
        for problem in convert(_request(server, document, kind), _Response, server).body
    ]


def _request(server: LanguageServer, document: Document, kind: str) -> Any:
    arguments = [kind, {"file": document.uri}]
    return server.request("workspace/executeCommand", {"command": COMMAND, "arguments": arguments})


def _reduce(problem: _Problem) -> dict[str, Any]:
    return {
        "range": {"start": _position(problem.start), "end": _position(problem.end)},
        "message": problem.text,
        "severity": _SEVERITIES.get(problem.category, 1),
        "code": problem.code,
        "source": problem.source or "typescript",
    }


def _position(location: _Location) -> dict[str, int]:
    """Return an LSP position: tsserver counts from 1."""
    return {"line": location.line - 1, "character": location.offset - 1}
