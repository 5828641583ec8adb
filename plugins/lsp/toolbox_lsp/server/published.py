"""The diagnostics that a server publishes unasked, the latest of each document."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import msgspec

from toolbox.linux.clock import awake
from toolbox_lsp.paths import uri_path

MAX_DIAGNOSTICS = 1000
"""Maximum diagnostics kept of a document: a server must not exhaust our memory."""
SETTLE = 0.3
"""Seconds of silence after which a server has published all: many do it in steps."""


class Publication(msgspec.Struct, frozen=True):
    """The latest diagnostics of one document."""

    number: int
    time: float
    version: int | None
    diagnostics: list[Any]


class PublishedDiagnostics:
    """The publications for watched documents; others are dropped. *Any thread.*"""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._number = 0
        self._refreshed = 0
        self._ended = False
        self._found: dict[Path, Publication | None] = {}

    @property
    def number(self) -> int:
        """Number of publications so far."""
        return self._number

    def watch(self, path: Path) -> None:
        """Keep publications for ``path`` from now on."""
        with self._changed:
            # A document that is opened again keeps its publications.
            self._found.setdefault(path, None)

    def forget(self, path: Path) -> None:
        """Drop publications for ``path``."""
        with self._changed:
            self._found.pop(path, None)

    def publish(self, params: dict[str, Any]) -> None:
        """Handle ``textDocument/publishDiagnostics``."""
        path = uri_path(params["uri"])
        # Servers publish for all files of a project; only open documents are asked for.
        if path is None or path not in self._found:
            return
        diagnostics = list(params["diagnostics"])[:MAX_DIAGNOSTICS]
        with self._changed:
            self._number += 1
            self._found[path] = Publication(
                self._number, awake(), params.get("version"), diagnostics
            )
            self._changed.notify_all()

    @property
    def refreshed(self) -> int:
        """Number of the server's requests to pull diagnostics again."""
        return self._refreshed

    def refresh(self) -> None:
        """Handle ``workspace/diagnostic/refresh``."""
        with self._changed:
            self._refreshed += 1
            self._changed.notify_all()

    def wait_for_refresh(self, after: int, timeout: float) -> bool:
        """Wait for refresh number ``after + 1``; report whether it came within ``timeout``."""
        deadline = awake() + timeout
        with self._changed:
            while self._refreshed <= after and not self._ended and (left := deadline - awake()) > 0:
                self._changed.wait(left)
            return self._refreshed > after

    def end(self) -> None:
        """Wake the waiting requests: the server has exited."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def latest(self, path: Path) -> int:
        """Return the number of the latest publication for ``path``, or 0."""
        publication = self._found.get(path)
        return publication.number if publication else 0

    def wait(
        self, path: Path, after: int, version: int, timeout: float, settle: float = SETTLE
    ) -> list[Any] | None:
        """Wait for diagnostics of ``path`` after publication ``after``, for ``version`` or later.

        They are complete after ``settle`` seconds without another publication. Returns None if
        there is none within ``timeout`` seconds, or if the server exits.
        """
        deadline = awake() + timeout
        with self._changed:
            while True:
                found = self._current(path, after, version)
                due = min(deadline, found.time + settle) if found else deadline
                left = due - awake()
                if found and left <= 0:
                    return found.diagnostics
                if self._ended or left <= 0:
                    return None
                self._changed.wait(left)

    def _current(self, path: Path, after: int, version: int) -> Publication | None:
        found = self._found.get(path)
        if found is None or found.number <= after:
            return None
        # The version is optional in the protocol.
        return found if found.version is None or found.version >= version else None
