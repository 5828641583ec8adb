"""The diagnostics a server publishes of its own accord, the latest of each document."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolbox_lsp.paths import uri_path

MAX_DIAGNOSTICS = 1000
"""Of one document; a server that floods must not fill our memory."""
SETTLE = 0.3
"""Seconds of silence after which a server has said all: many publish in several steps."""


@dataclass(frozen=True)
class Publication:
    """What was published last of one document."""

    number: int
    time: float
    version: int | None
    diagnostics: list[Any]


class PublishedDiagnostics:
    """Of the documents that are watched, which bounds them. *Any thread.*"""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._number = 0
        self._refreshed = 0
        self._ended = False
        self._found: dict[Path, Publication | None] = {}

    @property
    def number(self) -> int:
        """How many publications there have been."""
        return self._number

    def watch(self, path: Path) -> None:
        """Keep what is published of ``path`` from now on."""
        with self._changed:
            self._found.setdefault(path, None)

    def forget(self, path: Path) -> None:
        """Keep nothing of ``path``."""
        with self._changed:
            self._found.pop(path, None)

    def publish(self, params: dict[str, Any]) -> None:
        """Take what a ``textDocument/publishDiagnostics`` tells."""
        path = uri_path(params["uri"])
        if path is None or path not in self._found:
            return
        diagnostics = list(params["diagnostics"])[:MAX_DIAGNOSTICS]
        with self._changed:
            self._number += 1
            self._found[path] = Publication(
                self._number, time.monotonic(), params.get("version"), diagnostics
            )
            self._changed.notify_all()

    @property
    def refreshed(self) -> int:
        """How often the server has asked to be asked again."""
        return self._refreshed

    def refresh(self) -> None:
        """Take a ``workspace/diagnostic/refresh``."""
        with self._changed:
            self._refreshed += 1
            self._changed.notify_all()

    def wait_for_refresh(self, after: int, timeout: float) -> bool:
        """Wait until the server wants to be asked again; whether it did."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._refreshed > after, timeout)
            return self._refreshed > after

    def end(self) -> None:
        """There will be no more."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def of(self, path: Path) -> int:
        """The number of the latest publication of ``path``, 0 if there was none."""
        latest = self._found.get(path)
        return latest.number if latest else 0

    def wait(
        self, path: Path, after: int, version: int, timeout: float, settle: float = SETTLE
    ) -> list[Any] | None:
        """What was published of ``path`` after publication ``after``, for ``version`` or later.

        It is taken for all after ``settle`` seconds of silence.
        None if nothing was within ``timeout`` seconds, or if the server has ended.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                now = time.monotonic()
                latest = self._found.get(path)
                current = latest is not None and latest.number > after
                if current and latest.version is not None:  # type: ignore[union-attr]
                    current = latest.version >= version  # type: ignore[union-attr]
                until = latest.time + settle if current and latest else deadline
                if current and latest and (now >= until or now >= deadline):
                    return latest.diagnostics
                if self._ended or now >= deadline:
                    return None
                self._changed.wait(min(until, deadline) - now)
