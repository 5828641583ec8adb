"""Diagnostics asked of tsserver, where typescript-language-server passes a question on.

What it publishes comes in parts, some of them old, and doesn't tell which text it is of.
"""

from __future__ import annotations

from typing import Any

import msgspec

from toolbox.request import prepare
from toolbox_lsp.answers import read
from toolbox_lsp.documents import Document
from toolbox_lsp.server import LanguageServer

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


class _Answer(msgspec.Struct, frozen=True):
    body: list[_Problem] = []


prepare(_Answer)


def can_be_asked(server: LanguageServer) -> bool:
    """Whether it passes questions on."""
    offered = server.capabilities.get("executeCommandProvider")
    return isinstance(offered, dict) and COMMAND in (offered.get("commands") or [])


def diagnostics(server: LanguageServer, document: Document) -> list[dict[str, Any]]:
    """The problems of ``document``, as LSP has them. Raises as :meth:`LanguageServer.request`."""
    return [
        _reduce(problem)
        for kind in _KINDS
        for problem in read(_ask(server, document, kind), _Answer, server).body
    ]


def _ask(server: LanguageServer, document: Document, kind: str) -> Any:
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
    """Tsserver counts from 1."""
    return {"line": location.line - 1, "character": location.offset - 1}
