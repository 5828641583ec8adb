"""The backend ``local``: language servers as processes of this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from pathlib import Path

from toolbox.lifecycle import Context
from toolbox.linux.clock import awake
from toolbox.plugins import NoSettings
from toolbox.threads import Gate
from toolbox_lsp.catalog import Catalog
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
from toolbox_lsp.operations import completion
from toolbox_lsp.operations import diagnostics
from toolbox_lsp.operations import editing
from toolbox_lsp.operations import navigation
from toolbox_lsp.operations import symbols
from toolbox_lsp.paths import document_path
from toolbox_lsp.paths import project_location
from toolbox_lsp.paths import project_path
from toolbox_lsp.project import Project
from toolbox_lsp.server.language_server import LanguageServer
from toolbox_lsp.settings import LspSettings

CLOSE_TIMEOUT = 3.0
"""Seconds that all servers together get to exit when the service stops."""


class LocalLsp:
    """See :class:`toolbox_lsp.backend.LspBackend`."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        self._options: LspSettings = context.group_settings
        self._context = context
        self._catalog = Catalog(self._options.servers)
        self._lock = threading.Lock()
        self._projects: dict[tuple[str, Path], Project] = {}
        self._waiting = Gate(self._options.max_waiting, self._too_many_waiting)
        self._interval = min(60.0, self._options.idle_timeout / 4)
        self._timer = context.loop.call_later(self._interval, self._sweep)

    def details(self) -> dict[str, str]:
        return self._catalog.servers()

    def close(self) -> None:
        self._timer.cancel()
        with self._lock:
            projects = list(self._projects.values())
            self._projects.clear()
        # All at once, since each may use its whole grace.
        wait([self._context.pool.submit(project.stop) for project in projects], CLOSE_TIMEOUT)

    # The documented operations

    def start(self, server: ServerRequest) -> None:
        key = self._key(server)
        with self._waiting.admitted():
            # Another request may stop the project while this one starts it.
            while not self._start(key):
                pass

    def stop(self, server: ServerRequest) -> None:
        # Its directory may have been deleted.
        path = project_location(server.path_to_project, self._context.work_dir)
        with self._lock:
            project = self._projects.pop((server.language_id, path), None)
        if project is not None:
            project.stop()

    def open(self, document: DocumentRequest) -> None:
        with self._document(document):
            pass

    def close_document(self, document: DocumentRequest) -> None:
        project = self._project(document)
        path = document_path(document.uri, project.root, self._context.work_dir)
        with self._waiting.admitted(), project.use() as server:
            project.documents.close(server, path)

    def completions(self, request: CompletionParams) -> CompletionList:
        with self._document(request) as (server, document):
            return completion.complete(server, document, request.position, request.context)

    def document_symbols(self, document: DocumentRequest) -> list[Symbol]:
        with self._document(document) as (server, opened):
            return symbols.of_document(server, opened)

    def workspace_symbols(self, query: SymbolQuery) -> list[Symbol]:
        project = self._project(query)
        with self._waiting.admitted(), project.use() as server:
            server.send_changes()
            # Open documents may have changed on disk, and their symbols with them.
            project.documents.refresh(server)
            return symbols.of_project(server, project, query.query)

    # Beyond

    def diagnostics(self, document: DiagnosticsRequest) -> Diagnostics:
        project = self._project(document)
        path = document_path(document.uri, project.root, self._context.work_dir)
        with self._waiting.admitted(), project.use() as server:
            return diagnostics.diagnose(server, project.documents, path, document.wait)

    def hover(self, request: PositionRequest) -> Hover:
        with self._document(request) as (server, document):
            return navigation.hover(server, document, request.position)

    def definition(self, request: PositionRequest) -> list[Location]:
        with self._document(request) as (server, document):
            return navigation.definition(server, document, request.position)

    def references(self, request: ReferencesRequest) -> list[Location]:
        with self._document(request) as (server, document):
            return navigation.references(
                server, document, request.position, request.include_declaration
            )

    def rename(self, request: RenameRequest) -> Change:
        with self._document(request) as (server, document):
            return editing.rename(server, document, request)

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
            lambda: self._catalog.find(language),
            self._make_room,
            self._options,
            self._context.loop,
        )

    def _start(self, key: tuple[str, Path]) -> bool:
        """Start the project; return False if another request stopped it concurrently."""
        with self._lock:
            # Concurrent starts share one project.
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
                # Another request may hold it and must not start it: it could no longer be stopped.
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
        with self._waiting.admitted(), project.use() as server:
            server.send_changes()
            yield server, project.documents.ensure(server, path)

    # Limits

    def _too_many_waiting(self) -> TooManyWaiting:
        return TooManyWaiting(
            f"too many requests wait for language servers (limit {self._options.max_waiting})",
            {"Retry-After": "1"},
        )

    def _running(self) -> list[Project]:
        """Return the projects with a process, the longest idle first."""
        with self._lock:
            running = [project for project in self._projects.values() if project.running]
        return sorted(running, key=lambda project: project.used)

    def _make_room(self, project: Project) -> None:
        """Stop idle servers until ``project`` may start one. Raises TooManyWaiting."""
        others = [other for other in self._running() if other is not project]
        for candidate in others:
            if len(others) < self._options.max_running:
                return
            if not candidate.busy:
                candidate.suspend()
                # A request may have used it in between: it is still running then.
                others = [other for other in others if other.running]
        if len(others) >= self._options.max_running:
            raise TooManyWaiting(
                f"all {len(others)} language servers are busy", {"Retry-After": "1"}
            )

    def _sweep(self) -> None:
        """Stop servers that have been idle for too long. *On the loop.*"""
        self._timer = self._context.loop.call_later(self._interval, self._sweep)
        limit = awake() - self._options.idle_timeout
        # On the pool: stopping waits for a process, which the loop must not.
        self._context.pool.submit(self._suspend_idle, limit)

    def _suspend_idle(self, limit: float) -> None:
        for project in self._running():
            if project.used < limit and not project.busy:
                project.suspend()
