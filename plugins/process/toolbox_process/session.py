"""A session: one shell that runs commands one after the other and keeps its state.

The shell reads short lines from its standard input, each of which sources one command with named
pipes as its streams and then tells the exit status on the shell's own standard output, which no
command sees. So streams are apart, every byte arrives as it was written, and a command may read,
fail, ``exit`` or be replaced without anybody waiting for ever.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections import deque
from functools import partial

from toolbox.errors import ToolboxError
from toolbox_process.command import SETTLE
from toolbox_process.command import Command
from toolbox_process.command import Task
from toolbox_process.engine import Engine
from toolbox_process.errors import CommandCompleted
from toolbox_process.errors import InputUnavailable
from toolbox_process.errors import ProcessNotFound
from toolbox_process.errors import SessionEnded
from toolbox_process.job import Reason
from toolbox_process.job import judge
from toolbox_process.journal import SessionJournal
from toolbox_process.marks import Mark
from toolbox_process.procfs import moment
from toolbox_process.script import Scripts
from toolbox_process.script import run_line
from toolbox_process.session_models import SessionInfo
from toolbox_process.shell_process import Shell
from toolbox_process.shells import command_word
from toolbox_process.spool import ERR
from toolbox_process.spool import OUT
from toolbox_process.writer import InputClosed
from toolbox_process.writer import InputFull
from toolbox_process.writer import Writer

NEVER_RAN = -1
"""The exit code of a command whose shell ended before its turn came."""

READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC

log = logging.getLogger("toolbox")


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
        self.engine = engine
        self._journal = journal
        self._new_shell = partial(Shell, engine, session_id, shell)
        self._word = command_word(shell[0])
        self._program = os.fsencode(shell[0])
        self._token = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._commands: dict[str, Command] = {}
        self._queue: deque[Command] = deque()
        self._current: Command | None = None
        self._ended = False
        self._deleted = False
        self._replacing = False
        self._before: list[Mark] = []
        self._number = 0
        self._scripts = Scripts(engine.pipes, secrets.token_hex(8))
        self.shell = self._new_shell(cwd)
        self._listen(self.shell)
        journal.create()

    def _listen(self, shell: Shell) -> None:
        shell.listen(self._read_status, self._on_shell_ended)

    @property
    def ended(self) -> bool:
        """Whether the shell has ended."""
        return self._ended or (self.shell.job.exited and not self._spared())

    def _spared(self) -> bool:
        """Whether there is or will be another shell for the one that has ended."""
        current = self._current
        return self._replacing or (current is not None and current.spares_session)

    @property
    def reason(self) -> Reason | None:
        return self.shell.job.reason

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
            raise ProcessNotFound(f"command not found: {command_id!r} in session {self.id!r}")
        return found

    def submit(self, command: Command) -> Command:
        """Run it when its turn has come. Raises SessionEnded."""
        with self._lock:
            if self.ended:
                raise SessionEnded(f"the shell of session {self.id!r} has ended")
            self._commands[command.id] = command
            self._queue.append(command)
            self._forget_old()
        self.engine.register(command)
        self.engine.loop.call_soon(self._start_next)
        return command

    def new_command(self, task: Task) -> Command:
        """A command that waits to be submitted."""
        return Command(self.engine, self._journal, task)

    def _forget_old(self) -> None:
        excess = len(self._commands) - self.engine.settings.keep_jobs
        for command in list(self._commands.values()):
            if excess <= 0:
                return
            if command.done.is_set():
                del self._commands[command.id]
                excess -= 1

    # On the loop

    def _start_next(self) -> None:
        while self._queue and not (self._current or self._ended or self._replacing):
            command = self._queue.popleft()
            if command.cancelled:
                command.finish(NEVER_RAN, Reason.CANCELLED)
                continue
            try:
                self._start(command)
            except (OSError, InputClosed, InputFull) as error:
                reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else ""
                text = reason or "shell is gone"
                self._current = None
                command.running = False
                command.clear()
                command.note(f"can't be started: {text}\n")
                command.finish(NEVER_RAN, Reason.SPAWN_FAILED)

    def _start(self, command: Command) -> None:
        self._number += 1
        shell, loop = self.shell, self.engine.loop
        text = command.label.encode("utf-8", "surrogateescape")
        command.before, command.since = shell.children(), moment()
        cwd = command.task.cwd and shell.find_directory(command.task.cwd)
        command.script = script = self._scripts.write(self._number, text, not command.wait)
        # Errors name what is sourced; of a command that is given by -c they name the shell.
        command.capture.rename(os.fsencode(script.text), self._program)
        for path, stream in ((script.out, OUT), (script.err, ERR)):
            command.capture.add(os.open(path, READ), stream)
        if not command.wait:
            # For reading too, so that it can be opened before the shell has opened its end.
            command.stdin = Writer(loop, os.open(script.source, os.O_RDWR | os.O_NONBLOCK))
        answer = f"{self._token} {self._number}"
        line = run_line(script, self._word, answer, cwd, command.task.envs)
        self._current = command
        shell.complaint.clear()
        command.counts = self.engine.limits.counts()
        command.running = True
        shell.write(line)
        for data in command.early:
            self._write(command, data)

    def _read_status(self, line: bytes) -> None:
        words = line.split()
        if words[:2] != [self._token.encode(), str(self._number).encode()] or len(words) != 3:
            return  # Not ours: what a startup file of the shell has printed, say.
        if self._current is not None:
            now = self.engine.limits.counts()
            self._complete(self._current, *judge(int(words[2]), self._current.counts, now))

    def _complete(self, command: Command, status: int, reason: Reason) -> None:
        """Its status is known; its output must be complete before anybody sees that."""
        if command.completing:
            return
        command.completing = True
        if command.stdin is not None:
            command.stdin.abort()

        def finish() -> None:
            command.clear()
            self._current = None
            command.running = False
            verdict = Reason.CANCELLED if command.cancelled else reason
            command.finish(status, verdict)
            self._start_next()

        command.capture.drain(finish)

    def _on_shell_ended(self, shell: Shell) -> None:
        if shell is not self.shell or self._ended or self._replacing:
            return
        command, job = self._current, shell.job
        with self._lock:
            self._replacing = self._spared() and not self._deleted
            self._ended = not self._replacing
        if command is not None:
            if shell.complaint:
                command.note(shell.complaint.decode("utf-8", "replace"))
            if self._replacing:
                command.note("the session's shell has ended with this command; it has another\n")
            assert job.reason is not None
            self._complete(command, job.status, job.reason)
        if self._replacing:
            self.engine.pool.submit(self._replace)
        else:
            self._finish_waiting()

    def _finish_waiting(self) -> None:
        for waiting in self._queue:
            waiting.note("the session's shell ended before this command's turn\n")
            waiting.finish(NEVER_RAN, Reason.CANCELLED)
        self._queue.clear()
        self._scripts.remove()

    def _replace(self) -> None:
        """Start another shell where the one before was. On the pool: that takes a while."""
        shell: Shell | None = None
        try:
            shell = self._new_shell(self.shell.place)
        except (ToolboxError, OSError) as error:
            log.error("session %s gets no other shell: %s", self.id, error)
        with self._lock:
            unwanted = shell is not None and self._deleted
            if shell is not None:
                self._before.append(self.shell.job.mark)
                self.shell = shell
            self._ended = shell is None
            self._replacing = False
        if shell is not None:
            self._listen(shell)
        if shell is not None and unwanted:
            self.engine.end_soon(shell.job, Reason.CANCELLED)
        self.engine.loop.call_soon(self._finish_waiting if self._ended else self._start_next)

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

        self.engine.loop.call_soon(write)
        tried.wait()
        if outcome and isinstance(outcome[0], InputClosed):
            raise CommandCompleted(f"command {command.id!r} has ended")
        if outcome:
            raise InputUnavailable("the command has not read what it was sent before")

    def runs(self, command: Command) -> bool:
        """Whether the shell runs it now."""
        return self._current is command

    def drop(self, command: Command) -> None:
        """Let a command never begin, unless it has. *Any thread.*"""
        self.engine.loop.call_soon(lambda: self._drop(command))

    def _drop(self, command: Command) -> None:
        if command in self._queue:
            self._queue.remove(command)
            command.finish(NEVER_RAN, Reason.CANCELLED)

    def end(self, grace: float | None = None) -> None:
        """End the shell and everything the session has started. Blocks until that is so."""
        with self._lock:
            self._deleted = True
        for command in self.commands():
            command.cancelled = True
        self.engine.end(self.shell.job, Reason.CANCELLED, grace, also=self._before)
        for command in self.commands():
            command.done.wait(SETTLE)
        self._journal.remove()
