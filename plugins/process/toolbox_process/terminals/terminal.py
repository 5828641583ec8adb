"""A terminal: an interactive shell on a pseudo-terminal, with any number of clients."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC
from datetime import datetime
from typing import NamedTuple

from toolbox.processes import environment
from toolbox_process.engine.ends import KILLED
from toolbox_process.engine.ends import Reason
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.job import Kind
from toolbox_process.engine.job import ProcessJob
from toolbox_process.engine.launcher import Child
from toolbox_process.engine.launcher import TerminalSize
from toolbox_process.engine.output import FlowControl
from toolbox_process.engine.output import Follower
from toolbox_process.engine.profile import applies
from toolbox_process.engine.spec import Spec
from toolbox_process.engine.spool import OUT
from toolbox_process.engine.spool import Spool
from toolbox_process.engine.stdin_writer import InputClosed
from toolbox_process.engine.stdin_writer import InputFull
from toolbox_process.engine.stdin_writer import StdinWriter
from toolbox_process.engine.views.view import TerminalView
from toolbox_process.errors import SessionEnded
from toolbox_process.terminals.models import COLUMNS
from toolbox_process.terminals.models import ROWS
from toolbox_process.terminals.models import CreatePtyRequest
from toolbox_process.terminals.models import PtyInfo
from toolbox_process.terminals.models import PtySize
from toolbox_process.terminals.replies import QueryResponder

TERM = "xterm-256color"

IN_MEMORY = 256 * 1024
"""Bytes of a terminal's output kept in memory."""

DELETED = KILLED
"""The exit code of a deleted terminal, regardless of how its shell ended."""


class TerminalStanding(NamedTuple):
    """A terminal beside its job, for another one to go on with: see :class:`LocalTerminal`."""

    size: TerminalSize
    deleted: bool
    created_at: str
    was_attached: bool
    replied_to: int
    rest: bytes


class LocalTerminal(ProcessJob):
    """See :class:`toolbox_process.terminals.protocol.Terminal`."""

    def __init__(self, engine: Engine, request: CreatePtyRequest, shell: str) -> None:
        self.name = request.id
        self.shell = shell
        self.cwd = str(engine.directory(request.cwd))
        self.note = engine.note(request.cwd)
        self.asked_cwd = request.cwd
        self.envs = {name: value or "" for name, value in (request.envs or {}).items()}
        if not self.envs.get("TERM"):
            self.envs["TERM"] = TERM
        self.lazy_start = bool(request.lazy_start)
        self.deleted = False
        self._engine = engine
        self._size = TerminalSize(request.rows or ROWS, request.cols or COLUMNS)
        self._responder = QueryResponder(lambda: self._size)
        self._flow = FlowControl(self)
        self._was_attached = False
        self._replied_to = 0
        self._state = threading.Lock()
        spool = Spool(
            IN_MEMORY, engine.settings.terminal_buffer, engine.state.path, keep_head=False
        )
        super().__init__(engine.outfit(Kind.TERMINAL, request.id, spool=spool))
        self.view: TerminalView = TerminalView(
            spool,
            self._size,
            self.envs["TERM"],
            engine.settings.terminal_buffer,
            engine.pool.submit,
        )
        self.created_at = datetime.now(UTC).isoformat().replace("+00:00", "Z")

    def standing(self) -> TerminalStanding:
        """Return what another terminal goes on with, beside the job."""
        times = self.created_at, self._was_attached, self._replied_to
        return TerminalStanding(self._size, self.deleted, *times, self._responder.rest)

    def resume_terminal(self, standing: TerminalStanding) -> None:
        """Go on from there. On the loop, once, before :meth:`resume`."""
        self._size, self.deleted, self.created_at = standing[:3]
        self._was_attached, self._replied_to = standing.was_attached, standing.replied_to
        self._responder.rest = standing.rest

    def go_on(self) -> Reason | None:
        self._begin(self.child)
        return super().go_on()

    def info(self) -> PtyInfo:
        """Return the terminal as clients are shown it."""
        rows, columns = self._size
        return PtyInfo(
            id=self.name,
            cwd=self.cwd,
            envs=self.envs,
            cols=columns,
            rows=rows,
            created_at=self.created_at,
            active=self.running,
            lazy_start=self.lazy_start,
        )

    def start(self) -> bool:
        """Start the shell; return False if it has been started before.

        Raises SessionEnded, SpawnFailed, OSError.
        """
        with self._state:
            if self._child is not None:
                return False
            if self.deleted:
                raise SessionEnded(f"PTY session {self.name!r} was deleted before its start")
            arguments = [self.shell, "-i", "-l"]
            spec = Spec(Kind.TERMINAL, self.name, arguments, self.asked_cwd, self.envs)
            with self._engine.shutter:
                child = self._engine.launch(spec, self.id, self._size)
                self.stdin = StdinWriter(self.loop, child.terminal, own=False)
                # Before the end can be seen: the output written until then must be read, too.
                self.loop.call_soon(lambda: self._begin(child))
                self._engine.register_new(self)
                self.run(child)
            return True

    def _begin(self, child: Child) -> None:
        if applies({**environment(), **self.envs}):
            self.reader.listen(self._reply)
        # Clients first: a key's echo needn't wait for the view.
        self.reader.listen(self._flow.pump)
        self.view.begin(self.reader)
        # One read returns at most 4 KiB of a terminal (N_TTY_BUF_SIZE).
        self.reader.add(child.terminal, OUT, own=False, burst=16)

    def _reply(self) -> None:
        """Reply to queries as a terminal emulator would."""
        while (chunk := self.spool.read(self._replied_to, 1 << 16)).data:
            self._replied_to = chunk.end
            reply = self._responder.feed(chunk.data)
            if reply and self.stdin is not None:
                # A program that doesn't read its replies doesn't need them.
                with suppress(InputFull, InputClosed):
                    self.stdin.write(reply)

    def finish(self, exit_code: int, reason: Reason) -> None:
        super().finish(DELETED if self.deleted else exit_code, reason)

    def is_busy(self) -> bool:
        """Report whether a program has the terminal, and not the shell, which waits for input."""
        if not self.running:
            return False
        try:
            # The shell leads its own process group, and takes the terminal back after each program.
            return os.tcgetpgrp(self.child.terminal) not in (0, self.child.pid)
        except OSError:  # It has just been hung up.
            return False

    def resize(self, size: PtySize) -> None:
        """Change the size, now or for the start."""
        self.resize_terminal(TerminalSize(size.rows, size.cols))

    def resize_terminal(self, size: TerminalSize) -> None:
        with self._state:
            self._size = size
            self.view.resized(size)
            if self._child is not None:
                self._child.resize(size)

    def end(self) -> None:
        """End the shell and everything it has started. Blocks."""
        with self._state:
            self.deleted = True
        if self._child is not None:
            # An interactive shell ignores TERM, but not HUP (bash(1), SIGNALS).
            self._engine.end(self, Reason.CANCELLED, signals=(signal.SIGHUP, signal.SIGTERM))

    # Clients

    def start_offset(self, offset: int | None) -> int:
        with self._state:
            # The first client sees the prompt, even if it connects after the shell has printed it.
            first, self._was_attached = not self._was_attached, True
        if offset is not None:
            return max(self.spool.start, min(offset, self.spool.end))
        return self.spool.start if first else self.spool.end

    def attach(self, client: Follower) -> None:
        self.followers.enter(client)
        self.loop.call_soon(lambda: self._flow.add(client))

    def detach(self, client: Follower) -> None:
        self.followers.leave(client)
        self.loop.call_soon(lambda: self._flow.remove(client))

    def keep_pace(self) -> None:
        self._flow.adjust()

    def write(self, data: bytes) -> int:
        if self.stdin is None:
            raise InputClosed
        self.stdin.write(data)
        return self.stdin.pending

    def when_written(self, callback: Callable[[], object]) -> None:
        if self.stdin is not None:
            self.stdin.when_drained(callback)
