"""A session: one shell that runs commands one after the other and keeps its state.

The shell reads short lines from its standard input, each of which sources one command with named
pipes as its streams and then tells the exit status on the shell's own standard output, which no
command sees. So streams are apart, every byte arrives as it was written, and a command may read,
fail, ``exit`` or be replaced without anybody waiting for ever.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
import threading
from collections import deque
from pathlib import Path

from toolbox.errors import describe_os_error
from toolbox_process.command import Command
from toolbox_process.engine import Engine
from toolbox_process.engine import Spec
from toolbox_process.errors import CommandCompleted
from toolbox_process.errors import InputUnavailable
from toolbox_process.errors import ProcessNotFound
from toolbox_process.errors import SessionEnded
from toolbox_process.job import Kind
from toolbox_process.job import ProcessJob
from toolbox_process.job import Reason
from toolbox_process.job import judge
from toolbox_process.journal import SessionJournal
from toolbox_process.session_models import SessionInfo
from toolbox_process.shells import command_word
from toolbox_process.spool import ERR
from toolbox_process.spool import OUT
from toolbox_process.spool import Spool
from toolbox_process.tree import Tree
from toolbox_process.tree import children
from toolbox_process.tree import read_process
from toolbox_process.writer import InputClosed
from toolbox_process.writer import InputFull
from toolbox_process.writer import Writer

NEVER_RAN = -1
"""The exit code of a command whose shell ended before its turn came."""

SHELL_OUTPUT = 64 * 1024
"""Bytes kept of what the shell itself says."""

SETTLE = 1.0
"""Seconds a command has to end after everything it started was."""


class Session:
    """See the module. Made with a running shell; raises SpawnFailed if there can be none."""

    def __init__(
        self,
        engine: Engine,
        session_id: str,
        shell: list[str],
        cwd: str | None,
        journal: SessionJournal,
    ) -> None:
        self.id = session_id
        self._engine = engine
        self._journal = journal
        self._word = command_word(shell[0])
        self._token = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._commands: dict[str, Command] = {}
        self._queue: deque[Command] = deque()
        self._current: Command | None = None
        self._ended = False
        self._number = 0
        self._directory: Path | None = None
        self._at = 0
        self._line = b""
        self._complaint = bytearray()
        # What the shell says is read as it comes; a ring of a block or two is enough.
        spool = Spool(SHELL_OUTPUT, SHELL_OUTPUT, engine.state.path, keep_head=False)
        self.shell: ProcessJob = engine.start(
            Spec(Kind.SHELL, session_id, shell, cwd, stdin=subprocess.PIPE, split=True), spool
        )
        self.shell.follow(self._read_shell)
        journal.create()

    @property
    def ended(self) -> bool:
        """Whether the shell has ended."""
        return self._ended or self.shell.exited

    @property
    def reason(self) -> Reason | None:
        return self.shell.reason

    def info(self) -> SessionInfo:
        return SessionInfo(session_id=self.id, commands=[each.info() for each in self.commands()])

    def commands(self) -> list[Command]:
        """The commands, the oldest first."""
        with self._lock:
            return list(self._commands.values())

    def command(self, command_id: str) -> Command:
        """A command. Raises ProcessNotFound."""
        with self._lock:
            found = self._commands.get(command_id)
        if found is None:
            raise ProcessNotFound(f"session {self.id!r} has no command {command_id!r}")
        return found

    def submit(self, text: str, wait: bool, echo: bool, command_id: str = "") -> Command:
        """Run ``text`` when its turn has come. With ``wait`` it has nothing to read; without, it
        reads what is sent to it. Raises SessionEnded.
        """
        with self._lock:
            if self.ended:
                raise SessionEnded(f"the shell of session {self.id!r} has ended")
            command = Command(self._engine, self._journal, text, wait, echo, command_id)
            self._commands[command.id] = command
            self._queue.append(command)
            self._forget_old()
        self._engine.register(command)
        self._engine.loop.call_soon(self._start_next)
        return command

    def _forget_old(self) -> None:
        excess = len(self._commands) - self._engine.settings.keep_jobs
        for command in list(self._commands.values()):
            if excess <= 0:
                return
            if command.done.is_set():
                del self._commands[command.id]
                excess -= 1

    # On the loop

    def _start_next(self) -> None:
        while self._current is None and self._queue and not self._ended:
            command = self._queue.popleft()
            if command.cancelled:
                command.finish(NEVER_RAN, Reason.CANCELLED)
                continue
            try:
                self._start(command)
            except (OSError, InputClosed, InputFull) as error:
                text = describe_os_error(error) if isinstance(error, OSError) else "shell is gone"
                command.note(f"can't be started: {text}\n")
                command.finish(NEVER_RAN, Reason.SPAWN_FAILED)

    def _start(self, command: Command) -> None:
        self._number += 1
        directory = self._make_directory()
        command.files = [directory / f"{self._number}.{end}" for end in ("sh", "out", "err", "in")]
        script, out, err, into = command.files
        with os.fdopen(os.open(script, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(command.label.encode("utf-8", "surrogateescape") + b"\n")
        for path, stream in ((out, OUT), (err, ERR)):
            os.mkfifo(path, 0o600)
            command.capture.add(os.open(path, os.O_RDONLY | os.O_NONBLOCK), stream)
        source = "/dev/null"
        if not command.wait:
            os.mkfifo(into, 0o600)
            # For reading too, so that it can be opened before the shell has opened its end.
            command.stdin = Writer(self._engine.loop, os.open(into, os.O_RDWR | os.O_NONBLOCK))
            source = str(into)
        quote = shlex.quote
        line = (
            f"{self._word} . {quote(str(script))} <{quote(source)} >{quote(str(out))}"
            f" 2>{quote(str(err))}; {self._word} echo {self._token} {self._number} $?\n"
        )
        self._current = command
        self._complaint.clear()
        command.before = children(self.shell.process.pid)
        command.counts = self._engine.limits.counts()
        command.running = True
        assert self.shell.stdin is not None
        self.shell.stdin.write(os.fsencode(line))
        for data in command.early:
            self._write(command, data)

    def _make_directory(self) -> Path:
        if self._directory is None or not self._directory.is_dir():
            self._directory = self._engine.pipes.path() / secrets.token_hex(8)
            self._directory.mkdir(0o700)
        return self._directory

    def _read_shell(self) -> None:
        while (chunk := self.shell.spool.read(self._at, 1 << 16)).data:
            self._at = chunk.end
            if chunk.stream == ERR:
                self._complaint += chunk.data[-SHELL_OUTPUT:]
                del self._complaint[:-SHELL_OUTPUT]
                continue
            *lines, self._line = (self._line + chunk.data).split(b"\n")
            for line in lines:
                self._read_status(line.split())
        if self.shell.done.is_set() and not self._ended:
            self._on_shell_ended()

    def _read_status(self, words: list[bytes]) -> None:
        if words[:2] != [self._token.encode(), str(self._number).encode()] or len(words) != 3:
            return  # Not ours: what a startup file of the shell has printed, say.
        if self._current is not None:
            now = self._engine.limits.counts()
            self._complete(self._current, *judge(int(words[2]), self._current.counts, now))

    def _complete(self, command: Command, status: int, reason: Reason) -> None:
        """Its status is known; its output must be complete before anybody sees that."""
        if command.completing:
            return
        command.completing = True
        if command.stdin is not None:
            command.stdin.abort()

        def finish() -> None:
            for file in command.files:
                file.unlink(missing_ok=True)
            self._current = None
            command.running = False
            verdict = Reason.CANCELLED if command.cancelled else reason
            command.finish(status, verdict)
            self._start_next()

        command.capture.drain(finish)

    def _on_shell_ended(self) -> None:
        with self._lock:
            self._ended = True
        command, shell = self._current, self.shell
        if command is not None:
            if self._complaint:
                command.note(self._complaint.decode("utf-8", "replace"))
            assert shell.reason is not None
            self._complete(command, shell.status, shell.reason)
        for waiting in self._queue:
            waiting.note("the session's shell ended before this command's turn\n")
            waiting.finish(NEVER_RAN, Reason.CANCELLED)
        self._queue.clear()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _write(self, command: Command, data: bytes) -> None:
        if command.stdin is None or command.done.is_set():
            return
        if command.echo:
            command.spool.append(data, OUT)
            command.capture.notify()
        command.stdin.write(data)

    # From requests

    def send_input(self, command: Command, data: bytes) -> None:
        """Write to a command's standard input, and show it in its log unless that is off.

        A command whose turn has not come finds it there. Raises SessionEnded, CommandCompleted,
        InputUnavailable.
        """
        if self.ended:
            raise SessionEnded(f"the shell of session {self.id!r} has ended")
        if command.done.is_set():
            raise CommandCompleted(f"command {command.id!r} has ended")
        if command.wait:
            raise InputUnavailable("a command that is waited for reads no input")
        outcome: list[Exception] = []
        tried = threading.Event()

        def write() -> None:
            try:
                if command.running:
                    self._write(command, data)
                else:
                    command.early.append(data)
            except (InputFull, InputClosed) as error:
                outcome.append(error)
            finally:
                tried.set()

        self._engine.loop.call_soon(write)
        tried.wait()
        if outcome and isinstance(outcome[0], InputClosed):
            raise CommandCompleted(f"command {command.id!r} has ended")
        if outcome:
            raise InputUnavailable("the command has not read what it was sent before")

    def cancel(self, command: Command, grace: float) -> None:
        """End one command: what it has started, or else the shell it keeps busy. Blocks."""
        command.cancelled = True
        if not command.running:
            self._engine.loop.call_soon(lambda: self._drop(command))
        elif shell := self.shell.leader():
            pids = children(shell.pid) - command.before
            started = [each for pid in pids if (each := read_process(pid))]
            if command.running:  # If not, they may be the next command's.
                Tree(started, [], sessions=False).end(grace)
        if not command.done.wait(SETTLE):
            self._engine.end(self.shell, Reason.CANCELLED, grace)
            command.done.wait(SETTLE)

    def _drop(self, command: Command) -> None:
        if command in self._queue:
            self._queue.remove(command)
            command.finish(NEVER_RAN, Reason.CANCELLED)

    def end(self, grace: float | None = None) -> None:
        """End the shell and everything the session has started. Blocks until that is so."""
        for command in self.commands():
            command.cancelled = True
        self._engine.end(self.shell, Reason.CANCELLED, grace)
        for command in self.commands():
            command.done.wait(SETTLE)
        self._journal.remove()
