"""The documents of one project that its server has, kept as they are on disk."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from toolbox.errors import describe_os_error
from toolbox.errors import printable
from toolbox_lsp.errors import DocumentUnreadable
from toolbox_lsp.server import LanguageServer

MAX_SIZE = 16 * 1024 * 1024
"""Bytes of a document."""
MAX_OPEN = 256
"""Documents a server has at once; the one used longest ago is closed."""
CLOCK_TICK = 50_000_000
"""Nanoseconds within which two writes may get the same modification time."""

Signature = tuple[int, int, int]


@dataclass
class Document:
    """A document some server has, or had."""

    path: Path
    uri: str
    version: int = 0
    text: int = 0
    """Hash of what the server has."""
    signature: Signature | None = None
    """What the file was when it was read, or None if that can't be relied on."""
    server: LanguageServer | None = None
    mark: int = 0
    """How many diagnostics the server had published when it got this text."""
    revision: int = 0
    """Which changes on disk the server had been told of when it got this text."""
    hurried: bool = False
    """Whether it got this text before it had published anything of the one before."""
    kept: bool = False
    """Whether it stays when nobody visits it."""
    visitors: int = 0


class Documents:
    """What a project's server has been given. *Any thread.*"""

    def __init__(self, language: str, language_ids: dict[str, str]) -> None:
        self._language = language
        self._language_ids = language_ids
        self._lock = threading.RLock()
        self._open: OrderedDict[Path, Document] = OrderedDict()

    def ensure(self, server: LanguageServer, path: Path) -> Document:
        """Let ``server`` have the file as it is now. Raises DocumentUnreadable."""
        with self._lock:
            self._refresh(server, path)
            document = self._give(server, path)
            document.kept = True
            return document

    def refresh(self, server: LanguageServer) -> None:
        """Let ``server`` have everything that is open as it is now."""
        with self._lock:
            self._refresh(server, None)

    def renew(self, server: LanguageServer, document: Document) -> None:
        """Let ``server`` look at it once more, since other files have changed."""
        with self._lock:
            text = _read(document.path)
            self._change(server, document, text)

    def close(self, server: LanguageServer | None, path: Path) -> None:
        """Take the file from ``server``, if it has it."""
        with self._lock:
            document = self._open.pop(path, None)
            if document is not None and server is not None and document.server is server:
                server.notify("textDocument/didClose", {"textDocument": {"uri": document.uri}})
                server.published.forget(path)

    @contextmanager
    def visit(self, server: LanguageServer, path: Path) -> Iterator[Document]:
        """Let ``server`` have the file for a moment, unless it has it anyway."""
        with self._lock:
            document = self._give(server, path)
            document.visitors += 1
        try:
            yield document
        finally:
            with self._lock:
                document.visitors -= 1
                if not document.visitors and not document.kept:
                    self.close(server, path)

    def reopen(self, server: LanguageServer) -> None:
        """Give all of them to a new server; those that are gone are forgotten."""
        with self._lock:
            for path in list(self._open):
                try:
                    self._give(server, path)
                except DocumentUnreadable:
                    del self._open[path]

    def _refresh(self, server: LanguageServer, but: Path | None) -> None:
        """Give what is open and has changed, and take back what is gone."""
        for path, document in list(self._open.items()):
            if path != but and document.server is server:
                with suppress(DocumentUnreadable):
                    self._give(server, path)

    def _give(self, server: LanguageServer, path: Path) -> Document:
        document = self._open.get(path) or Document(path, path.as_uri())
        try:
            signature = _signature(path)
            if document.server is not server or not signature or document.signature != signature:
                self._send(server, document, signature)
        except DocumentUnreadable:
            self._take_back(server, document)
            raise
        self._open[path] = document
        self._open.move_to_end(path)
        if len(self._open) > MAX_OPEN:
            self.close(server, next(iter(self._open)))
        return document

    def _take_back(self, server: LanguageServer, document: Document) -> None:
        """What can't be read any more isn't there for the server, either."""
        if document.server is server:
            server.notify("textDocument/didClose", {"textDocument": {"uri": document.uri}})
            document.server = None

    def _send(
        self, server: LanguageServer, document: Document, signature: Signature | None
    ) -> None:
        text = _read(document.path)
        known = document.server is server
        document.signature = signature
        if known and document.text == hash(text):
            return
        if known:
            self._change(server, document, text)
            return
        identity = self._next(server, document, text)
        language = self._language_ids.get(document.path.suffix.lower(), self._language)
        server.published.watch(document.path)
        opened = {**identity, "languageId": language, "text": text}
        server.notify("textDocument/didOpen", {"textDocument": opened})
        document.server = server

    def _change(self, server: LanguageServer, document: Document, text: str) -> None:
        identity = self._next(server, document, text)
        params = {"textDocument": identity, "contentChanges": [{"text": text}]}
        server.notify("textDocument/didChange", params)
        server.notify("textDocument/didSave", {"textDocument": {"uri": document.uri}})

    def _next(self, server: LanguageServer, document: Document, text: str) -> dict[str, object]:
        """Note what the server is about to get; the identifier to give it by."""
        known = document.server is server
        document.hurried = known and server.published.of(document.path) <= document.mark
        document.text = hash(text)
        document.version += 1
        document.mark = server.published.number
        document.revision = server.revision
        return {"uri": document.uri, "version": document.version}


def _signature(path: Path) -> Signature | None:
    """What changes when the file does. Raises DocumentUnreadable if it is no regular file."""
    try:
        info = path.stat()
    except OSError as error:
        raise DocumentUnreadable(describe_os_error(error)) from None
    if not stat.S_ISREG(info.st_mode):
        raise DocumentUnreadable(f"{printable(str(path))} is not a regular file")
    if info.st_size > MAX_SIZE:
        raise DocumentUnreadable(f"{printable(str(path))} is over {MAX_SIZE} bytes")
    if abs(time.time_ns() - info.st_mtime_ns) < CLOCK_TICK:
        return None
    return info.st_mtime_ns, info.st_size, info.st_ino


def _read(path: Path) -> str:
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            return file.read(MAX_SIZE).decode("utf-8", "replace")
    except OSError as error:
        raise DocumentUnreadable(describe_os_error(error)) from None


def _open_at_once(path: str, flags: int) -> int:
    """Not waiting for the writer of a pipe that took the file's place a moment ago."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
