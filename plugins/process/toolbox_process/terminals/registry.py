"""All terminals, by id."""

from __future__ import annotations

import threading

from toolbox.errors import BadRequest
from toolbox_process.engine.checks import check_environment
from toolbox_process.engine.checks import check_text
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.job import Kind
from toolbox_process.errors import AlreadyExists
from toolbox_process.errors import ProcessNotFound
from toolbox_process.errors import SessionEnded
from toolbox_process.terminals.models import CreatePtyRequest
from toolbox_process.terminals.models import PtyInfo
from toolbox_process.terminals.models import PtySize
from toolbox_process.terminals.terminal import LocalTerminal


class LocalTerminals:
    """See :class:`toolbox_process.terminals.protocol.Terminals`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._terminals: dict[str, LocalTerminal] = {}

    def create(self, request: CreatePtyRequest) -> LocalTerminal:
        if not request.id:
            raise BadRequest("missing terminal id")
        check_text("the terminal's id", request.id)
        check_text("cwd", request.cwd or "")
        check_environment(request.envs)
        shell = self._engine.shell()
        terminal = LocalTerminal(self._engine, request, shell)
        with self._lock:
            if request.id in self._terminals:
                raise AlreadyExists(f"PTY session {request.id!r} already exists")
            self._terminals[request.id] = terminal
        if not request.lazy_start:
            self._start(terminal)
        return terminal

    def _start(self, terminal: LocalTerminal) -> None:
        try:
            started = terminal.start()
        except BaseException:
            self._forget(terminal)
            raise
        if started:
            # Once ended it is forgotten: the id can be used again.
            terminal.loop.call_soon(lambda: terminal.when_ended(lambda: self._forget(terminal)))

    def restore(self, terminal: LocalTerminal) -> None:
        """List a terminal that goes on after an upgrade. On the loop."""
        with self._lock:
            self._terminals[terminal.name] = terminal
        if terminal.running:
            terminal.when_ended(lambda: self._forget(terminal))

    def all(self) -> list[LocalTerminal]:
        """Return those that have not ended."""
        with self._lock:
            return [*self._terminals.values()]

    def _forget(self, terminal: LocalTerminal) -> None:
        with self._lock:
            if self._terminals.get(terminal.name) is terminal:
                del self._terminals[terminal.name]

    def list(self) -> list[PtyInfo]:
        with self._lock:
            terminals = list(self._terminals.values())
        return [terminal.info() for terminal in terminals]

    def busy(self) -> int:
        """Return the number of terminals in which a program runs, and not only the shell."""
        with self._lock:
            terminals = list(self._terminals.values())
        return sum(terminal.is_busy() for terminal in terminals)

    def find(self, terminal_id: str) -> LocalTerminal | None:
        """Return a terminal that has not ended, None if there is none."""
        with self._lock:
            found = self._terminals.get(terminal_id)
        return None if found is None or found.done.is_set() else found

    def _find(self, terminal_id: str) -> LocalTerminal:
        found = self.find(terminal_id)
        if found is None:
            raise self._engine.not_there("PTY session", terminal_id)
        return found

    def get(self, terminal_id: str) -> PtyInfo:
        return self._find(terminal_id).info()

    def connect(self, terminal_id: str) -> LocalTerminal:
        # One whose shell has exited may still have output to send.
        try:
            terminal = self._find(terminal_id)
        except ProcessNotFound:
            if any(job.label == terminal_id for job in self._engine.jobs(Kind.TERMINAL)):
                raise SessionEnded(f"PTY session {terminal_id!r} has ended") from None
            raise
        self._start(terminal)
        return terminal

    def resize(self, terminal_id: str, size: PtySize) -> PtyInfo:
        try:
            terminal = self._find(terminal_id)
        except ProcessNotFound as error:
            raise SessionEnded(error.message) from None
        terminal.resize(size)
        return terminal.info()

    def delete(self, terminal_id: str) -> None:
        terminal = self._find(terminal_id)
        terminal.end()
        self._forget(terminal)
