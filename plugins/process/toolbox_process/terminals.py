"""Terminals: an interactive shell on a pseudo-terminal, and any number of clients."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC
from datetime import datetime

from toolbox.errors import BadRequest
from toolbox.processes import environment
from toolbox_process.automation import Answerer
from toolbox_process.automation import applies
from toolbox_process.backend import TerminalClient
from toolbox_process.engine import Engine
from toolbox_process.errors import AlreadyExists
from toolbox_process.errors import ProcessNotFound
from toolbox_process.errors import SessionEnded
from toolbox_process.execute import check_environment
from toolbox_process.execute import check_text
from toolbox_process.job import Kind
from toolbox_process.job import ProcessJob
from toolbox_process.job import Reason
from toolbox_process.job import new_id
from toolbox_process.pty_device import PtyDevice
from toolbox_process.pty_device import keep_odd_variables
from toolbox_process.pty_models import COLUMNS
from toolbox_process.pty_models import ROWS
from toolbox_process.pty_models import CreatePtyRequest
from toolbox_process.pty_models import PtyInfo
from toolbox_process.pty_models import PtySize
from toolbox_process.spec import Spec
from toolbox_process.spool import OUT
from toolbox_process.spool import Spool
from toolbox_process.writer import InputClosed
from toolbox_process.writer import InputFull
from toolbox_process.writer import Writer

TERM = "xterm-256color"

AHEAD = 1024 * 1024
"""Bytes the program may be ahead of the client that reads fastest before it is made to wait."""

IN_MEMORY = 256 * 1024
"""Bytes of a terminal's output that stay in memory."""

KILLED = 128 + signal.SIGKILL
"""What clients are told of a terminal that was deleted, however its shell took it."""


class LocalTerminal(ProcessJob):
    """One terminal. See :class:`toolbox_process.backend.Terminal`."""

    def __init__(self, engine: Engine, request: CreatePtyRequest, shell: str) -> None:
        self.name = request.id
        self.cwd = str(engine.directory(request.cwd))
        self.note = engine.note(request.cwd)
        self._cwd = request.cwd
        self.envs = {name: value or "" for name, value in (request.envs or {}).items()}
        if not self.envs.get("TERM"):
            self.envs["TERM"] = TERM
        self.lazy_start = bool(request.lazy_start)
        self.deleted = False
        self._engine = engine
        self._size = (request.rows or ROWS, request.cols or COLUMNS)
        self._shell = shell
        self._device: PtyDevice | None = None
        self._clients: list[TerminalClient] = []
        self._was_attached = False
        self._answered = 0
        self._state = threading.Lock()
        spool = Spool(
            IN_MEMORY, engine.settings.terminal_buffer, engine.state.path, keep_head=False
        )
        capture = engine.new_capture(spool)
        followers = engine.new_followers()
        super().__init__(
            *(Kind.TERMINAL, request.id, spool, capture, engine.loop),
            *(followers, engine.limits, new_id()),
        )
        self.created_at = datetime.now(UTC).isoformat().replace("+00:00", "Z")

    @property
    def is_running(self) -> bool:
        """Whether its shell has started and not ended."""
        return self._device is not None and not self.exited

    def info(self) -> PtyInfo:
        """What clients are shown."""
        rows, columns = self._size
        return PtyInfo(
            id=self.name,
            cwd=self.cwd,
            envs=self.envs,
            cols=columns,
            rows=rows,
            created_at=self.created_at,
            active=self.is_running,
            lazy_start=self.lazy_start,
        )

    def start(self) -> bool:
        """Start the shell; False if that was done before. Raises SessionEnded, SpawnFailed,
        OSError.
        """
        with self._state:
            if self._device is not None:
                return False
            if self.deleted:
                raise SessionEnded(f"PTY session {self.name!r} was deleted before its start")
            spec = Spec(Kind.TERMINAL, self.name, [], self._cwd, self.envs)
            odd = keep_odd_variables(self._engine.environment_of(spec))
            arguments = [*odd, self._shell, "-i", "-l"]
            self.mark = self._engine.new_mark(self.id)
            self._device = device = PtyDevice.start(arguments, *self._size, self._spawn)
            self.stdin = Writer(self.loop, device.fd, own=False)
            self.when_exited(device.release_slave)
            self.loop.call_soon(self._begin)
            self._engine.adopt(self, device.process)
            return True

    def _spawn(self, arguments: list[str]) -> subprocess.Popen[bytes]:
        spec = Spec(Kind.TERMINAL, self.name, arguments, self._cwd, self.envs)
        null = subprocess.DEVNULL
        return self._engine.spawn(spec, self.mark, stdin=null, stdout=null, stderr=null)

    def _begin(self) -> None:
        assert self._device is not None
        if applies({**environment(), **self.envs}):
            self._answerer = Answerer(lambda: self._size)
            self.capture.listen(self._answer)
        # The kernel gives 4 KiB of a terminal at once.
        self.capture.add(self._device.fd, OUT, own=False, burst=16)
        self.capture.listen(self.pump)

    def _answer(self) -> None:
        """Say what a terminal would to what was written since the last time."""
        while (chunk := self.spool.read(self._answered, 1 << 16)).data:
            self._answered = chunk.end
            answer = self._answerer.read(chunk.data)
            if answer and self.stdin is not None:
                with suppress(InputFull, InputClosed):
                    self.stdin.write(answer)

    def finish(self, exit_code: int, reason: Reason) -> None:
        super().finish(KILLED if self.deleted else exit_code, reason)
        # Whoever still holds the other side is hung up on, as when a window is closed.
        self.capture.close()
        with self._state:
            if self._device is not None:
                self._device.close()

    def resize(self, size: PtySize) -> None:
        """Change the size, now or for the start."""
        with self._state:
            self._size = (size.rows, size.cols)
            if self._device is not None and not self._device.closed:
                self._device.resize(*self._size)

    def end(self) -> None:
        """End the shell and everything it has started. Blocks until that is so."""
        with self._state:
            self.deleted = True
        if self._device is not None:
            self._engine.end(self, Reason.CANCELLED, signals=(signal.SIGHUP, signal.SIGTERM))

    # Clients

    def attach_at(self, offset: int | None) -> int:
        with self._state:
            first, self._was_attached = not self._was_attached, True
        if offset is not None:
            return max(self.spool.start, min(offset, self.spool.end))
        return self.spool.start if first else self.spool.end

    def attach(self, client: TerminalClient) -> None:
        self.followers.enter(client)
        self.loop.call_soon(lambda: self._add(client))

    def _add(self, client: TerminalClient) -> None:
        self._clients.append(client)
        self.pump()

    def detach(self, client: TerminalClient) -> None:
        self.followers.leave(client)
        self.loop.call_soon(lambda: self._remove(client))

    def _remove(self, client: TerminalClient) -> None:
        if client in self._clients:
            self._clients.remove(client)
            self.pump()

    def pump(self) -> None:
        for client in list(self._clients):
            client.pump()
        if not self.exited:
            end = self.spool.end
            ahead = min((end - client.at for client in self._clients), default=0)
            self.capture.pause(ahead > AHEAD)

    def write(self, data: bytes) -> int:
        if self.stdin is None:
            raise InputClosed
        self.stdin.write(data)
        return self.stdin.pending

    def when_written(self, callback: Callable[[], object]) -> None:
        if self.stdin is not None:
            self.stdin.when_drained(callback)


class LocalTerminals:
    """See :class:`toolbox_process.backend.Terminals`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._terminals: dict[str, LocalTerminal] = {}

    def create(self, request: CreatePtyRequest) -> LocalTerminal:
        if not request.id:
            raise BadRequest("the terminal needs an id")
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
            terminal.loop.call_soon(lambda: terminal.when_ended(lambda: self._forget(terminal)))

    def _forget(self, terminal: LocalTerminal) -> None:
        with self._lock:
            if self._terminals.get(terminal.name) is terminal:
                del self._terminals[terminal.name]

    def list(self) -> list[PtyInfo]:
        with self._lock:
            terminals = list(self._terminals.values())
        return [terminal.info() for terminal in terminals]

    def _find(self, terminal_id: str) -> LocalTerminal:
        with self._lock:
            found = self._terminals.get(terminal_id)
        if found is None or found.done.is_set():
            raise self._engine.not_there("PTY session", terminal_id)
        return found

    def get(self, terminal_id: str) -> PtyInfo:
        return self._find(terminal_id).info()

    def connect(self, terminal_id: str) -> LocalTerminal:
        # One that is about to end still has its last output to show.
        try:
            terminal = self._find(terminal_id)
        except ProcessNotFound:
            if any(each.label == terminal_id for each in self._engine.jobs(Kind.TERMINAL)):
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
