"""One language of one project: its server, brought back when it is gone, and its documents."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

from toolbox.loop import Loop
from toolbox_lsp.documents import Documents
from toolbox_lsp.errors import ServerFailed
from toolbox_lsp.errors import ServerNotInitialized
from toolbox_lsp.server import LanguageServer
from toolbox_lsp.settings import LanguageServerSpec
from toolbox_lsp.settings import LspSettings

MAX_STARTS = 5
STARTS_WITHIN = 60.0
"""Seconds; a server that was started :data:`MAX_STARTS` times within them is not started again."""

log = logging.getLogger("toolbox")


class Project:
    """A server for ``language`` in ``root``. *Any thread.*

    ``find`` tells which program it is, each time one is started; ``make_room`` is called before.
    """

    def __init__(
        self,
        language: str,
        root: Path,
        find: Callable[[], LanguageServerSpec],
        make_room: Callable[[Project], None],
        options: LspSettings,
        loop: Loop,
    ) -> None:
        self.language = language
        self.root = root
        self.spec = find()
        self.documents = Documents(language, self.spec.language_ids)
        self.used = time.monotonic()
        """When it was used last."""
        self._find = find
        self._make_room = make_room
        self._options = options
        self._loop = loop
        self._lock = threading.Lock()
        self._server: LanguageServer | None = None
        self._starting: Future[LanguageServer] | None = None
        self._starts: deque[float] = deque(maxlen=MAX_STARTS)
        self._users = 0
        self._stopped = False

    @property
    def busy(self) -> bool:
        """Whether a request uses it now."""
        return self._users > 0

    @property
    def running(self) -> bool:
        """Whether it has a process."""
        server = self._server
        return server is not None and server.running

    def start(self) -> None:
        """Start the server unless it runs, however often it has failed."""
        with self._lock:
            self._starts.clear()
        with self.use():
            pass

    @contextmanager
    def use(self) -> Iterator[LanguageServer]:
        """The server, running and with all documents.

        Raises ServerNotInitialized once it was stopped, ServerNotInstalled, ServerFailed and
        ServerTimeout.
        """
        with self._lock:
            self._users += 1
        try:
            yield self._ensure()
        finally:
            with self._lock:
                self._users -= 1
                self.used = time.monotonic()

    def stop(self) -> None:
        """End the server for good, also while it starts."""
        with self._lock:
            self._stopped = True
            server, starting = self._server, self._starting
            self._server = None
        if server is None:
            return
        if starting is not None:
            server.kill()
        else:
            server.close()

    def rest(self) -> None:
        """End the process if nobody uses it; the next use brings it back."""
        with self._lock:
            if self._users or self._server is None:
                return
            server, self._server = self._server, None
        log.info("ending the idle language server %s of %s", server.name, self.root)
        server.close()

    def _ensure(self) -> LanguageServer:
        with self._lock:
            self._check_stopped()
            if self._starting is None and self._server is not None and self._server.running:
                return self._server
            starting = self._starting
            if starting is None:
                mine: Future[LanguageServer] = Future()
                self._starting = mine
        if starting is not None:
            # Whoever comes while it starts gets the same server, or the same failure.
            return starting.result()
        try:
            server = self._start()
        except BaseException as error:
            with self._lock:
                self._starting = None
            mine.set_exception(error)
            raise
        with self._lock:
            self._starting = None
        mine.set_result(server)
        return server

    def _start(self) -> LanguageServer:
        self._check_starts()
        self.spec = self._find()
        self._make_room(self)
        server = LanguageServer(self.spec, self.root, self._loop, self._options.request_timeout)
        with self._lock:
            gone, self._server = self._server, server
            stopped = self._stopped
        if gone is not None:
            gone.kill()
        try:
            if stopped:
                self._check_stopped()
            server.initialize(self._options.start_timeout)
            self.documents.reopen(server)
        except BaseException:
            server.kill()
            raise
        return server

    def _check_stopped(self) -> None:
        if self._stopped:
            raise ServerNotInitialized(f"the {self.language} server of {self.root} was stopped")

    def _check_starts(self) -> None:
        now = time.monotonic()
        if len(self._starts) == MAX_STARTS and now - self._starts[0] < STARTS_WITHIN:
            raise ServerFailed(
                f"{self.spec.command[0]} was started {MAX_STARTS} times within "
                f"{STARTS_WITHIN:g} s and has ended each time; it waits for /lsp/start"
            )
        self._starts.append(now)
