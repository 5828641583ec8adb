"""The open documents of a project's server, kept in sync with the disk."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from pathlib import Path

import msgspec

from toolbox.errors import describe_os_error
from toolbox.errors import printable
from toolbox_lsp.errors import DocumentUnreadable
from toolbox_lsp.server.language_server import LanguageServer

MAX_SIZE = 16 * 1024 * 1024
"""Maximum bytes of a document."""
MAX_OPEN = 256
"""Maximum documents open in a server; one more closes the least recently used."""
CLOCK_TICK = 50_000_000
"""Nanoseconds within which two writes may get the same modification time (kernel tick)."""

Signature = tuple[int, int, int]


class Document(msgspec.Struct):
    """A document that is or was open in a server."""

    path: Path
    uri: str
    version: int = 0
    text: int = 0
    """Hash of the text that the server has."""
    signature: Signature | None = None
    """Signature of the file when it was read, or None if it is too recent to be reliable."""
    server: LanguageServer | None = None
    mark: int = 0
    """Number of the server's latest publication of diagnostics before this text."""
    revision: int = 0
    """The server's revision of the disk when it got this text."""
    hurried: bool = False
    """True if the server got this text before it had published diagnostics of the previous."""
    kept: bool = False
    """True if it stays open without visitors."""
    visitors: int = 0


class Documents:
    """The documents that are open in a project's server. *Any thread.*"""

    def __init__(self, language: str, language_ids: dict[str, str]) -> None:
        self._language = language
        self._language_ids = language_ids
        # Reentrant: visit() and _sync() call close() while they hold it.
        self._lock = threading.RLock()
        self._open: OrderedDict[Path, Document] = OrderedDict()

    def ensure(self, server: LanguageServer, path: Path) -> Document:
        """Open the file in ``server`` with its current content. Raises DocumentUnreadable."""
        with self._lock:
            self._refresh(server, path)
            document = self._sync(server, path)
            document.kept = True
            return document

    def refresh(self, server: LanguageServer) -> None:
        """Update all open documents of ``server`` from disk."""
        with self._lock:
            self._refresh(server, None)

    def renew(self, server: LanguageServer, document: Document) -> None:
        """Send the document again, for ``server`` to check it against other files' changes."""
        with self._lock:
            text = _read(document.path)
            self._change(server, document, text)

    def close(self, server: LanguageServer | None, path: Path) -> None:
        """Close the file in ``server``, if it is open there."""
        with self._lock:
            document = self._open.pop(path, None)
            if document is not None and server is not None and document.server is server:
                server.notify("textDocument/didClose", {"textDocument": {"uri": document.uri}})
                server.published.forget(path)

    @contextmanager
    def visit(self, server: LanguageServer, path: Path) -> Iterator[Document]:
        """Open the file in ``server`` for the block, unless it is open anyway."""
        with self._lock:
            document = self._sync(server, path)
            document.visitors += 1
        try:
            yield document
        finally:
            with self._lock:
                document.visitors -= 1
                if not document.visitors and not document.kept:
                    self.close(server, path)

    def reopen(self, server: LanguageServer) -> None:
        """Open all of them in a new server; drop those that no longer exist."""
        with self._lock:
            for path in list(self._open):
                try:
                    self._sync(server, path)
                except DocumentUnreadable:
                    del self._open[path]

    def _refresh(self, server: LanguageServer, except_path: Path | None) -> None:
        """Update the changed documents of ``server``, and close the deleted ones."""
        for path, document in list(self._open.items()):
            if path != except_path and document.server is server:
                with suppress(DocumentUnreadable):
                    self._sync(server, path)

    def _sync(self, server: LanguageServer, path: Path) -> Document:
        document = self._open.get(path) or Document(path, path.as_uri())
        try:
            # Before the text is read: a write in between leaves an outdated signature, and the
            # file is read again next time.
            signature = _signature(path)
            if document.server is not server or not signature or document.signature != signature:
                self._send(server, document, signature)
        except DocumentUnreadable:
            self._close_deleted(server, document)
            raise
        self._open[path] = document
        self._open.move_to_end(path)
        if len(self._open) > MAX_OPEN:
            # The first one is the least recently used.
            self.close(server, next(iter(self._open)))
        return document

    def _close_deleted(self, server: LanguageServer, document: Document) -> None:
        """Close a document in ``server`` whose file can't be read any more."""
        if document.server is server:
            server.notify("textDocument/didClose", {"textDocument": {"uri": document.uri}})
            document.server = None

    def _send(
        self, server: LanguageServer, document: Document, signature: Signature | None
    ) -> None:
        text = _read(document.path)
        known = document.server is server
        document.signature = signature
        # Touched, but not changed.
        if known and document.text == hash(text):
            return
        if known:
            self._change(server, document, text)
            return
        identity = self._next(server, document, text)
        language = self._language_ids.get(document.path.suffix.lower(), self._language)
        # Before didOpen, to miss no publication.
        server.published.watch(document.path)
        opened = {**identity, "languageId": language, "text": text}
        server.notify("textDocument/didOpen", {"textDocument": opened})
        document.server = server

    def _change(self, server: LanguageServer, document: Document, text: str) -> None:
        identity = self._next(server, document, text)
        # Without a range a change replaces the whole text, in any synchronization mode.
        params = {"textDocument": identity, "contentChanges": [{"text": text}]}
        server.notify("textDocument/didChange", params)
        # Some servers run their linters only on save.
        server.notify("textDocument/didSave", {"textDocument": {"uri": document.uri}})

    def _next(self, server: LanguageServer, document: Document, text: str) -> dict[str, object]:
        """Record the text to be sent; return its VersionedTextDocumentIdentifier."""
        known = document.server is server
        document.hurried = known and server.published.latest(document.path) <= document.mark
        document.text = hash(text)
        document.version += 1
        document.mark = server.published.number
        document.revision = server.revision
        return {"uri": document.uri, "version": document.version}


def _signature(path: Path) -> Signature | None:
    """Return values that change with the file, or None if it was changed just now.

    Raises DocumentUnreadable if it isn't a regular file.
    """
    try:
        info = path.stat()
    except OSError as error:
        raise DocumentUnreadable(describe_os_error(error)) from None
    if not stat.S_ISREG(info.st_mode):
        raise DocumentUnreadable(f"{printable(str(path))} is not a regular file")
    if info.st_size > MAX_SIZE:
        # The whole text is sent in one message.
        raise DocumentUnreadable(f"{printable(str(path))} is too large (limit {MAX_SIZE} bytes)")
    # A further write within this tick might change neither time nor size.
    if abs(time.time_ns() - info.st_mtime_ns) < CLOCK_TICK:
        return None
    return info.st_mtime_ns, info.st_size, info.st_ino


def _read(path: Path) -> str:
    try:
        with open(path, "rb", opener=_open_nonblocking) as file:
            return file.read(MAX_SIZE).decode("utf-8", "replace")
    except OSError as error:
        raise DocumentUnreadable(describe_os_error(error)) from None


def _open_nonblocking(path: str, flags: int) -> int:
    """Open without waiting for a writer, should a FIFO have replaced the file."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
