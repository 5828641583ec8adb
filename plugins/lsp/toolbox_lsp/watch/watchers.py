"""A server's registrations for ``workspace/didChangeWatchedFiles``."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import msgspec

from toolbox_lsp.paths import resolved
from toolbox_lsp.paths import uri_path
from toolbox_lsp.watch.globs import compile_glob

METHOD = "workspace/didChangeWatchedFiles"
CREATED, CHANGED, DELETED = 1, 2, 3
"""FileChangeType; WatchKind is a bit mask of 1, 2 and 4 for them."""

SKIPPED = frozenset(
    {
        *(".git", ".hg", ".svn", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"),
        *(".tox", ".nox", ".cache", ".direnv", ".gradle", ".next", ".turbo"),
    }
)
"""Directories that are never looked at: version control and caches."""
PACKAGES = frozenset({"node_modules", "site-packages", "dist-packages"})
"""Directories of which only the entries are watched: what is installed, not its files."""


class Watcher(msgspec.Struct, frozen=True):
    """Files below ``base`` whose relative path matches ``pattern``."""

    base: Path
    pattern: str
    kinds: int = 7

    def wants(self, path: str, kind: int) -> bool:
        """Report whether this kind of change of ``path`` is watched."""
        # The mask has bit 0 for CREATED (1), bit 1 for CHANGED (2), bit 2 for DELETED (3).
        if not self.kinds & 1 << kind - 1:
            return False
        expression = compile_glob(self.pattern)
        # Some servers send absolute patterns, which ignore the base.
        if self.pattern.startswith("/"):
            return expression.fullmatch(path) is not None
        base = str(self.base).rstrip("/") + "/"
        return path.startswith(base) and expression.fullmatch(path[len(base) :]) is not None

    @property
    def deep(self) -> bool:
        """True if it matches files below subdirectories of ``base``."""
        return "**" in self.pattern or "/" in self.pattern


class Watchers:
    """All watchers of one server. *Any thread.*"""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._found: dict[str, list[Watcher]] = {}
        self._ever = False

    def register(self, params: Any) -> None:
        """Handle ``client/registerCapability``; ignore registrations of other methods."""
        for registration in params["registrations"]:
            if registration["method"] == METHOD:
                options = registration.get("registerOptions") or {}
                found = [self._read(watcher) for watcher in options.get("watchers", [])]
                with self._lock:
                    self._ever = True
                    self._found[registration["id"]] = [watcher for watcher in found if watcher]

    def unregister(self, params: Any) -> None:
        """Handle ``client/unregisterCapability``, whose field is misspelled in the protocol."""
        for registration in params.get("unregisterations", []):
            with self._lock:
                self._found.pop(registration["id"], None)

    def wants(self, path: str, kind: int) -> bool:
        """Report whether a change is watched; all are if the server never registered any."""
        with self._lock:
            everything = not self._ever
            known = [watcher for watchers in self._found.values() for watcher in watchers]
        return everything or any(watcher.wants(path, kind) for watcher in known)

    def outside(self) -> list[Watcher]:
        """Return the watchers outside the project, or in a skipped part of it."""
        with self._lock:
            known = [watcher for watchers in self._found.values() for watcher in watchers]
        return [watcher for watcher in known if self._is_outside(watcher.base)]

    def _is_outside(self, base: Path) -> bool:
        if not base.is_relative_to(self._root):
            return True
        return not (SKIPPED | PACKAGES).isdisjoint(base.relative_to(self._root).parts)

    def _read(self, watcher: dict[str, Any]) -> Watcher | None:
        pattern, kinds = watcher["globPattern"], watcher.get("kind") or 7
        if isinstance(pattern, str):
            return Watcher(self._root, pattern, kinds)
        base = pattern["baseUri"]
        # baseUri is a WorkspaceFolder or a URI.
        path = uri_path(base["uri"] if isinstance(base, dict) else base)
        # A server may call its project by a symbolic link.
        return Watcher(resolved(path), pattern["pattern"], kinds) if path else None
