"""Running the commands of a session, one after the other, in its shell.

The shell reads short lines from its standard input. Each of them sources one command with named
pipes as its streams, then prints the exit status on the shell's own standard output, which no
command sees. So streams stay apart, every byte arrives as it was written, and a command may read,
fail, ``exit`` or be replaced, and its end is still noticed.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Mapping
from functools import partial

from toolbox.errors import ToolboxError
from toolbox_process.engine.ends import Reason
from toolbox_process.engine.ends import classify_exit
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.launcher import Child
from toolbox_process.engine.shells import command_word
from toolbox_process.engine.spool import OUT
from toolbox_process.engine.stdin_writer import InputClosed
from toolbox_process.engine.stdin_writer import InputFull
from toolbox_process.errors import CommandCompleted
from toolbox_process.errors import InputUnavailable
from toolbox_process.errors import SessionEnded
from toolbox_process.sessions.command import NEVER_RAN
from toolbox_process.sessions.command import Command
from toolbox_process.sessions.script import Scripts
from toolbox_process.sessions.script import run_line
from toolbox_process.sessions.shell import Carried
from toolbox_process.sessions.shell import Shell
from toolbox_process.sessions.shell import start_shell

log = logging.getLogger("toolbox")


class CommandRunner:
    """The shell of a session and the queue of its commands.

    Public methods may be called from any thread, those with an underscore run on the loop.
    """

    def __init__(
        self,
        engine: Engine,
        session_id: str,
        shell: list[str],
        cwd: str | None,
        carried: Carried | None = None,
    ) -> None:
        """Start the shell, unless one goes on after an upgrade. Raises SpawnFailed, OSError."""
        self.engine = engine
        self.session_id = session_id
        self.arguments = shell
        self.replaced: list[Child] = []
        """The shells before this one: what they have started belongs to the session, too."""
        self._word = command_word(shell[0])
        self._program = os.fsencode(shell[0])
        before = carried or Carried.new()
        self._token = before.token
        self._lock = threading.Lock()
        self._queue: deque[Command] = deque()
        self._current: Command | None = None
        self._ended, self._deleted = before.ended, before.deleted
        self._replacing = False
        self._number = before.number
        self._scripts = Scripts(engine.pipes, before.scripts, engine.launcher.share)
        state = self._scripts.prepare()
        self._new_shell = partial(start_shell, engine, session_id, shell, state)
        self.shell = before.shell or self._new_shell(cwd)
        if not carried:
            self._listen(self.shell)

    def _listen(self, shell: Shell) -> None:
        shell.listen(self._read_status, self._on_shell_ended)

    @property
    def replacing(self) -> bool:
        """True while another shell is started in the place of one that has ended."""
        return self._replacing

    @property
    def ended(self) -> bool:
        """True once the shell has ended and no other takes its place."""
        return self._ended or (self.shell.job.exited and not self._is_spared())

    def _is_spared(self) -> bool:
        """Report whether there is or will be another shell for the one that has ended."""
        current = self._current
        return self._replacing or (current is not None and current.spares_session)

    def _check_shell(self) -> None:
        if self.ended:
            raise SessionEnded(f"the shell of session {self.session_id!r} has ended")

    def enqueue(self, command: Command) -> None:
        """Run a command when its turn has come. Raises SessionEnded."""
        with self._lock:
            self._check_shell()
            # With the lock: the shell can't end between the check and this.
            self._queue.append(command)

    def go_on(self) -> None:
        """Start the next command if there is one and none runs."""
        self.engine.loop.call_soon(self._start_next)

    def mark_deleted(self) -> None:
        """Don't replace the shell when it ends."""
        with self._lock:
            self._deleted = True

    def send_input(self, command: Command, data: bytes) -> None:
        """Write to a command's standard input, and to its log if it echoes.

        A command whose turn has not come finds the data waiting. Raises SessionEnded,
        CommandCompleted, InputUnavailable.
        """
        self._check_shell()
        if command.done.is_set():
            raise CommandCompleted(f"command {command.id!r} has ended")
        if command.wait:
            raise InputUnavailable("input requires runAsync")
        failures: list[Exception] = []
        tried = threading.Event()

        def write() -> None:
            try:
                if command.running:
                    self._write(command, data)
                else:
                    command.early.append(data)
            except (InputFull, InputClosed) as error:
                failures.append(error)
            finally:
                tried.set()

        # The command's state is stable on the loop only; this thread waits for the result.
        self.engine.loop.call_soon(write)
        tried.wait()
        if failures and isinstance(failures[0], InputClosed):
            raise CommandCompleted(f"command {command.id!r} has ended")
        if failures:
            raise InputUnavailable("the command's input buffer is full")

    def runs(self, command: Command) -> bool:
        """Report whether the shell is running a command now."""
        return self._current is command

    def drop(self, command: Command) -> None:
        """Take a command from the queue if it has not begun."""
        self.engine.loop.call_soon(lambda: self._drop(command))

    def _drop(self, command: Command) -> None:
        if command in self._queue:
            self._queue.remove(command)
            command.finish(NEVER_RAN, Reason.CANCELLED)

    # On the loop

    def let_go(self) -> Carried:
        """Return what another runner goes on with."""
        current = self._current.id if self._current else None
        queue = [command.id for command in self._queue]
        flags = self._ended, self._deleted
        return Carried(
            self._token, self._scripts.name, self.shell, self._number, *flags, queue, current
        )

    def resume(self, before: Carried, known: Mapping[str, Command]) -> None:
        """Go on with the commands of the one before, but for :meth:`go_on`."""
        # One of the queue may have been forgotten by its session, but then it has ended.
        self._queue.extend(known[each] for each in before.queue if each in known)
        self._current = known.get(before.current or "")
        for command in known.values():
            verdict, command.verdict = command.verdict, None
            if verdict is not None and not command.done.is_set():
                self._complete(command, *verdict)
        # After the commands: it reports their ends.
        self._listen(self.shell)

    def _start_next(self) -> None:
        while self._queue and not (self._current or self._ended or self._replacing):
            command = self._queue.popleft()
            if command.cancelled:
                command.finish(NEVER_RAN, Reason.CANCELLED)
                continue
            try:
                self._start(command)
            except (OSError, InputClosed, InputFull) as error:
                self._current = None
                command.fail(os.strerror(error.errno or 0) if isinstance(error, OSError) else "")

    def _start(self, command: Command) -> None:
        self._number += 1
        shell = self.shell
        text = command.label.encode("utf-8", "surrogateescape")
        # Before the command can start anything.
        command.snapshot = shell.job.child.snapshot()
        cwd = command.task.cwd and shell.find_directory(command.task.cwd)
        command.script = script = self._scripts.write(self._number, text, not command.wait)
        command.connect(script, self._program)
        marker = f"{self._token} {self._number}"
        line = run_line(script, self._word, marker, cwd, command.task.envs)
        self._current = command
        # What the shell has printed before belongs to an earlier command.
        shell.complaint.clear()
        command.counts = shell.job.child.counts()
        command.running = True
        shell.write(line)
        for data in command.early:
            self._write(command, data)

    def _read_status(self, line: bytes) -> None:
        words = line.split()
        if words[:2] != [self._token.encode(), str(self._number).encode()] or len(words) != 3:
            return  # The output of something else, such as a startup file of the shell.
        if self._current is not None:
            now = self.shell.job.child.counts()
            self._complete(self._current, *classify_exit(int(words[2]), self._current.counts, now))

    def _complete(self, command: Command, status: int, reason: Reason) -> None:
        """Finish a command whose status is known, once its output is complete."""
        # Both the exit status and the end of the shell may report it.
        if command.verdict is not None:
            return
        command.verdict = status, reason
        if command.stdin is not None:
            command.stdin.abort()

        def finish() -> None:
            command.clear()
            self._current = None
            command.running = False
            command.finish(status, Reason.CANCELLED if command.cancelled else reason)
            self._start_next()

        # A status may overtake output that is still in the pipes.
        command.reader.drain(finish)

    def _on_shell_ended(self, shell: Shell) -> None:
        # Called more than once, and for a shell that has been replaced, too.
        if shell is not self.shell or self._ended or self._replacing:
            return
        command, job = self._current, shell.job
        with self._lock:
            # In one step: a request sees the ended shell or the coming one, never neither.
            self._replacing = self._is_spared() and not self._deleted
            self._ended = not self._replacing
        if command is not None:
            # Such as a syntax error, which the shell itself reports.
            if shell.complaint:
                command.note(shell.complaint.decode("utf-8", "replace"))
            if self._replacing:
                command.note("the session's shell ended with this command and was replaced\n")
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
        """Start another shell in the directory of the one before. On the pool: it takes a while."""
        shell: Shell | None = None
        try:
            shell = self._new_shell(self.shell.directory)
        except (ToolboxError, OSError) as error:
            log.error("session %s: the shell could not be replaced: %s", self.session_id, error)
        with self._lock:
            # The session may have been deleted while the shell was starting.
            unwanted = shell is not None and self._deleted
            if shell is not None:
                self.replaced.append(self.shell.job.child)
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
            command.reader.notify()
        command.stdin.write(data)
