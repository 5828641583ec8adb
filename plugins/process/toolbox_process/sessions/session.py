"""A session: a shell that keeps its state, and the commands it has run."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from toolbox_process.engine.ends import Reason
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.journals.session import SessionJournal
from toolbox_process.errors import ProcessNotFound
from toolbox_process.sessions.command import SETTLE
from toolbox_process.sessions.command import Command
from toolbox_process.sessions.command import Task
from toolbox_process.sessions.models import SessionInfo
from toolbox_process.sessions.runner import CommandRunner
from toolbox_process.sessions.shell import Carried


class Session:
    """A session with a running shell. *Any thread.*"""

    def __init__(
        self,
        engine: Engine,
        session_id: str,
        journal: SessionJournal,
        runner: CommandRunner,
    ) -> None:
        self.id = session_id
        self.runner = runner
        self._engine = engine
        self.journal = journal
        self._lock = threading.Lock()
        self._commands: dict[str, Command] = {}

    def resume(self, before: Carried, commands: Iterable[Command]) -> None:
        """Go on with commands, the oldest first. On the loop, once."""
        self._commands = {command.id: command for command in commands}
        self.runner.resume(before, self._commands)

    @property
    def ended(self) -> bool:
        """True once the shell has ended."""
        return self.runner.ended

    @property
    def reason(self) -> Reason | None:
        return self.runner.shell.job.reason

    def info(self) -> SessionInfo:
        commands = [command.info() for command in self.commands()]
        return SessionInfo(session_id=self.id, commands=commands)

    def commands(self) -> list[Command]:
        """Return the commands, the oldest first."""
        with self._lock:
            return list(self._commands.values())

    def command(self, command_id: str) -> Command:
        with self._lock:
            found = self._commands.get(command_id)
        if found is None:
            raise ProcessNotFound(f"command not found: {command_id!r} in session {self.id!r}")
        return found

    def submit(self, task: Task) -> Command:
        """Run a command when its turn has come. Raises SessionEnded."""
        command = Command(self._engine, self.journal, task)
        with self._lock:
            # Always in this order of locks: the session's, then the runner's.
            self.runner.enqueue(command)
            self._commands[command.id] = command
            self._forget_old()
        self._engine.register(command)
        # Not before: a command must be listed while it runs.
        self.runner.go_on()
        return command

    def _forget_old(self) -> None:
        excess = len(self._commands) - self._engine.settings.keep_jobs
        for command in list(self._commands.values()):
            if excess <= 0:
                return
            # Only ended ones: clients still wait for the others.
            if command.done.is_set():
                del self._commands[command.id]
                excess -= 1

    def end(self, grace: float | None = None) -> None:
        """End the shell and everything the session has started. Blocks. Raises NotEnded."""
        # First, so that the shell is not replaced when it ends.
        self.runner.mark_deleted()
        for command in self.commands():
            command.cancelled = True
        shell = self.runner.shell
        self._engine.end(shell.job, Reason.CANCELLED, grace, also=self.runner.replaced)
        for command in self.commands():
            command.done.wait(SETTLE)
        self.journal.remove()
