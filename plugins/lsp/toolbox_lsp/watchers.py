"""What a server wants to hear of: its registrations for ``workspace/didChangeWatchedFiles``."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import msgspec

from toolbox_lsp.globs import compiled
from toolbox_lsp.paths import resolved
from toolbox_lsp.paths import uri_path

METHOD = "workspace/didChangeWatchedFiles"
CREATED, CHANGED, DELETED = 1, 2, 3
"""Kinds of a change; a watcher's kinds are the sum of 1, 2 and 4 for them."""

SKIPPED = frozenset(
    {
        *(".git", ".hg", ".svn", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"),
        *(".tox", ".nox", ".cache", ".direnv", ".gradle", ".next", ".turbo"),
    }
)
PACKAGES = frozenset({"node_modules", "site-packages", "dist-packages"})
"""Directories of which only the entries count: what is installed, not what it consists of."""


class Watcher(msgspec.Struct, frozen=True):
    """Files below ``base`` whose relative path matches ``pattern``."""

    base: Path
    pattern: str
    kinds: int = 7

    def wants(self, path: str, kind: int) -> bool:
        """Whether it is of interest that this happened to ``path``."""
        if not self.kinds & 1 << kind - 1:
            return False
        whole = compiled(self.pattern)
        if self.pattern.startswith("/"):
            return whole.fullmatch(path) is not None
        base = str(self.base).rstrip("/") + "/"
        return path.startswith(base) and whole.fullmatch(path[len(base) :]) is not None

    @property
    def deep(self) -> bool:
        """Whether it reaches below the entries of ``base``."""
        return "**" in self.pattern or "/" in self.pattern


class Watchers:
    """All of one server's. *Any thread.*"""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._found: dict[str, list[Watcher]] = {}
        self._ever = False

    def register(self, params: Any) -> None:
        """Take a ``client/registerCapability``; other methods' registrations are nothing here."""
        for each in params["registrations"]:
            if each["method"] == METHOD:
                options = each.get("registerOptions") or {}
                found = [self._read(watcher) for watcher in options.get("watchers", [])]
                with self._lock:
                    self._ever = True
                    self._found[each["id"]] = [watcher for watcher in found if watcher]

    def unregister(self, params: Any) -> None:
        """Take a ``client/unregisterCapability``, whose name is misspelt in the protocol."""
        for each in params.get("unregisterations", []):
            with self._lock:
                self._found.pop(each["id"], None)

    def wants(self, path: str, kind: int) -> bool:
        """Whether a change is of interest; all are to a server that never registered any."""
        with self._lock:
            everything = not self._ever
            known = [watcher for each in self._found.values() for watcher in each]
        return everything or any(watcher.wants(path, kind) for watcher in known)

    def outside(self) -> list[Watcher]:
        """Those of places that are not in the project, or in a part of it not looked at."""
        with self._lock:
            known = [watcher for each in self._found.values() for watcher in each]
        return [each for each in known if self._is_outside(each.base)]

    def _is_outside(self, base: Path) -> bool:
        if not base.is_relative_to(self._root):
            return True
        return not (SKIPPED | PACKAGES).isdisjoint(base.relative_to(self._root).parts)

    def _read(self, watcher: dict[str, Any]) -> Watcher | None:
        pattern, kinds = watcher["globPattern"], watcher.get("kind") or 7
        if isinstance(pattern, str):
            return Watcher(self._root, pattern, kinds)
        base = pattern["baseUri"]
        path = uri_path(base["uri"] if isinstance(base, dict) else base)
        # A server may know its project by a link that leads there.
        return Watcher(resolved(path), pattern["pattern"], kinds) if path else None
