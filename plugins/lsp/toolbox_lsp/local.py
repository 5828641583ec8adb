"""The backend ``local``: language servers as processes of this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from pathlib import Path

from toolbox.lifecycle import Context
from toolbox.plugins import NoSettings
from toolbox_lsp import completion
from toolbox_lsp import diagnosing
from toolbox_lsp import editing
from toolbox_lsp import navigation
from toolbox_lsp import symbols
from toolbox_lsp.catalogue import Catalogue
from toolbox_lsp.documents import Document
from toolbox_lsp.errors import ServerNotInitialized
from toolbox_lsp.errors import TooManyWaiting
from toolbox_lsp.models import Change
from toolbox_lsp.models import CompletionList
from toolbox_lsp.models import CompletionParams
from toolbox_lsp.models import Diagnostics
from toolbox_lsp.models import DiagnosticsRequest
from toolbox_lsp.models import DocumentRequest
from toolbox_lsp.models import FormattingRequest
from toolbox_lsp.models import Hover
from toolbox_lsp.models import Location
from toolbox_lsp.models import PositionRequest
from toolbox_lsp.models import ReferencesRequest
from toolbox_lsp.models import RenameRequest
from toolbox_lsp.models import ServerRequest
from toolbox_lsp.models import Symbol
from toolbox_lsp.models import SymbolQuery
from toolbox_lsp.paths import document_path
from toolbox_lsp.paths import project_path
from toolbox_lsp.paths import project_place
from toolbox_lsp.project import Project
from toolbox_lsp.server import LanguageServer
from toolbox_lsp.settings import LspSettings

CLOSE_TIMEOUT = 3.0
"""Seconds for all servers together at the end of the service."""


class LocalLsp:
    """See :class:`toolbox_lsp.backend.LspBackend`."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        self._options: LspSettings = context.options
        self._context = context
        self._catalogue = Catalogue(self._options.servers)
        self._lock = threading.Lock()
        self._projects: dict[tuple[str, Path], Project] = {}
        self._waiting = threading.BoundedSemaphore(self._options.max_waiting)
        self._interval = min(60.0, self._options.idle_timeout / 4)
        self._timer = context.loop.call_later(self._interval, self._sweep)

    def details(self) -> dict[str, str]:
        return self._catalogue.describe()

    def close(self) -> None:
        self._timer.cancel()
        with self._lock:
            projects = list(self._projects.values())
            self._projects.clear()
        wait([self._context.pool.submit(each.stop) for each in projects], CLOSE_TIMEOUT)

    # The documented operations

    def start(self, server: ServerRequest) -> None:
        key = self._key(server)
        with self._admitted():
            while not self._start(key):
                pass

    def stop(self, server: ServerRequest) -> None:
        # Its directory may be gone by now.
        place = project_place(server.path_to_project, self._context.work_dir)
        with self._lock:
            project = self._projects.pop((server.language_id, place), None)
        if project is not None:
            project.stop()

    def open(self, document: DocumentRequest) -> None:
        with self._document(document):
            pass

    def close_document(self, document: DocumentRequest) -> None:
        project = self._project(document)
        path = document_path(document.uri, project.root, self._context.work_dir)
        with self._admitted(), project.use() as server:
            project.documents.close(server, path)

    def completions(self, place: CompletionParams) -> CompletionList:
        with self._document(place) as (server, document):
            return completion.complete(server, document, place.position, place.context)

    def document_symbols(self, document: DocumentRequest) -> list[Symbol]:
        with self._document(document) as (server, opened):
            return symbols.of_document(server, opened)

    def workspace_symbols(self, query: SymbolQuery) -> list[Symbol]:
        project = self._project(query)
        with self._admitted(), project.use() as server:
            server.tell_changes()
            project.documents.refresh(server)
            return symbols.of_project(server, project, query.query)

    # Beyond

    def diagnostics(self, document: DiagnosticsRequest) -> Diagnostics:
        project = self._project(document)
        path = document_path(document.uri, project.root, self._context.work_dir)
        with self._admitted(), project.use() as server:
            return diagnosing.diagnose(server, project.documents, path, document.wait)

    def hover(self, place: PositionRequest) -> Hover:
        with self._document(place) as (server, document):
            return navigation.hover(server, document, place.position)

    def definition(self, place: PositionRequest) -> list[Location]:
        with self._document(place) as (server, document):
            return navigation.definition(server, document, place.position)

    def references(self, place: ReferencesRequest) -> list[Location]:
        with self._document(place) as (server, document):
            return navigation.references(
                server, document, place.position, place.include_declaration
            )

    def rename(self, place: RenameRequest) -> Change:
        with self._document(place) as (server, document):
            return editing.rename(server, document, place)

    def format(self, document: FormattingRequest) -> Change:
        with self._document(document) as (server, opened):
            return editing.format_document(server, opened, document)

    # Which server

    def _key(self, server: ServerRequest) -> tuple[str, Path]:
        path = project_path(server.path_to_project, self._context.work_dir)
        return server.language_id, path

    def _make(self, language: str, root: Path) -> Project:
        return Project(
            language,
            root,
            lambda: self._catalogue.find(language),
            self._make_room,
            self._options,
            self._context.loop,
        )

    def _start(self, key: tuple[str, Path]) -> bool:
        """Start it; false if it was stopped meanwhile by somebody else."""
        with self._lock:
            known = self._projects.get(key)
            project = known or self._projects.setdefault(key, self._make(*key))
        try:
            project.start()
        except ServerNotInitialized:
            return False
        except Exception:
            if known is None:
                with self._lock:
                    if self._projects.get(key) is project:
                        del self._projects[key]
                # Whoever has got hold of it must not start it now: nobody could stop it.
                project.stop()
            raise
        return True

    def _project(self, server: ServerRequest) -> Project:
        with self._lock:
            project = self._projects.get(self._key(server))
        if project is None:
            raise ServerNotInitialized(
                f"no {server.language_id} server was started for {server.path_to_project}"
            )
        return project

    @contextmanager
    def _document(self, request: DocumentRequest) -> Iterator[tuple[LanguageServer, Document]]:
        project = self._project(request)
        path = document_path(request.uri, project.root, self._context.work_dir)
        with self._admitted(), project.use() as server:
            server.tell_changes()
            yield server, project.documents.ensure(server, path)

    # Limits

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        if not self._waiting.acquire(blocking=False):
            raise TooManyWaiting(
                f"{self._options.max_waiting} requests wait for language servers already",
                {"Retry-After": "1"},
            )
        try:
            yield
        finally:
            self._waiting.release()

    def _running(self) -> list[Project]:
        """Those with a process, the longest idle first."""
        with self._lock:
            running = [each for each in self._projects.values() if each.running]
        return sorted(running, key=lambda each: each.used)

    def _make_room(self, project: Project) -> None:
        """End idle servers until ``project`` may start one. Raises TooManyWaiting."""
        others = [each for each in self._running() if each is not project]
        for each in others:
            if len(others) < self._options.max_running:
                return
            if not each.busy:
                each.rest()
                others = [other for other in others if other.running]
        if len(others) >= self._options.max_running:
            raise TooManyWaiting(
                f"{len(others)} language servers run and are busy", {"Retry-After": "1"}
            )

    def _sweep(self) -> None:
        """End what has been idle for too long; on the loop."""
        self._timer = self._context.loop.call_later(self._interval, self._sweep)
        limit = time.monotonic() - self._options.idle_timeout
        self._context.pool.submit(self._rest_since, limit)

    def _rest_since(self, limit: float) -> None:
        for project in self._running():
            if project.used < limit and not project.busy:
                project.rest()
