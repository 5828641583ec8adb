"""A project's server for one language, restarted on demand, and its documents."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

from toolbox.linux.clock import awake
from toolbox.sockets.loop import Loop
from toolbox_lsp.documents import Documents
from toolbox_lsp.errors import ServerFailed
from toolbox_lsp.errors import ServerNotInitialized
from toolbox_lsp.server.language_server import LanguageServer
from toolbox_lsp.settings import LanguageServerSpec
from toolbox_lsp.settings import LspSettings

MAX_STARTS = 5
STARTS_WITHIN = 60.0
"""Seconds within which a server that was started :data:`MAX_STARTS` times isn't restarted."""

log = logging.getLogger("toolbox")


class Project:
    """A server for ``language`` in ``root``. *Any thread.*

    Before each start ``find`` returns the program to run, and ``make_room`` may stop others.
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
        self.used = awake()
        """Time of its last use (:func:`toolbox.linux.clock.awake`)."""
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
        """True while a request is using it."""
        return self._users > 0

    @property
    def running(self) -> bool:
        """True while it has a process."""
        server = self._server
        # Read once above: another thread may replace it.
        return server is not None and server.running

    def start(self) -> None:
        """Start the server unless it is running, regardless of previous failures."""
        with self._lock:
            # An explicit start is allowed to try again.
            self._starts.clear()
        with self.use():
            pass

    @contextmanager
    def use(self) -> Iterator[LanguageServer]:
        """Yield the server, running and with all documents open.

        Raises ServerNotInitialized once it was stopped, ServerNotInstalled, ServerFailed and
        ServerTimeout.
        """
        with self._lock:
            # Counted before the start, so that suspend() doesn't stop it in between.
            self._users += 1
        try:
            yield self._ensure()
        finally:
            with self._lock:
                self._users -= 1
                self.used = awake()

    def stop(self) -> None:
        """Stop the server for good, even while it is starting."""
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

    def suspend(self) -> None:
        """Stop the process unless a request is using it; the next use restarts it."""
        with self._lock:
            if self._users or self._server is None:
                return
            server, self._server = self._server, None
        log.info("stopping the idle language server %s of %s", server.name, self.root)
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
            # Requests during the start share its result, the server or the failure.
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
            previous, self._server = self._server, server
            stopped = self._stopped
        if previous is not None:
            previous.kill()  # It has exited; this reaps what it left behind.
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
        now = awake()
        if len(self._starts) == MAX_STARTS and now - self._starts[0] < STARTS_WITHIN:
            raise ServerFailed(
                f"{self.spec.command[0]} exited {MAX_STARTS} times within {STARTS_WITHIN:g} s; "
                "it is not restarted before the next /lsp/start"
            )
        self._starts.append(now)
