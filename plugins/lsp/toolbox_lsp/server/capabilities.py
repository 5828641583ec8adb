"""The capabilities that we announce to language servers (LSP 3.17)."""

from __future__ import annotations

from typing import Any

_DOCUMENTATION = ["markdown", "plaintext"]
CAPABILITIES: dict[str, Any] = {
    "general": {"positionEncodings": ["utf-16"]},
    "textDocument": {
        "synchronization": {"didSave": True},
        # No snippets: the response couldn't mark them as such.
        "completion": {
            "contextSupport": True,
            "completionItem": {"documentationFormat": _DOCUMENTATION, "preselectSupport": True},
        },
        "documentSymbol": {
            "hierarchicalDocumentSymbolSupport": False,
            "symbolKind": {"valueSet": list(range(1, 27))},
        },
        "hover": {"contentFormat": _DOCUMENTATION},
        "definition": {"linkSupport": True},
        "references": {},
        "rename": {"prepareSupport": False},
        "formatting": {},
        "publishDiagnostics": {"versionSupport": True},
        "diagnostic": {},
    },
    "workspace": {
        "didChangeWatchedFiles": {"dynamicRegistration": True, "relativePatternSupport": True},
        "diagnostics": {"refreshSupport": True},
        "symbol": {"symbolKind": {"valueSet": list(range(1, 27))}},
        "configuration": True,
        "workspaceFolders": True,
        "didChangeConfiguration": {},
        "workspaceEdit": {"documentChanges": True},
    },
    "window": {"workDoneProgress": True},
}
