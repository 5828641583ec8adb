"""One command of a session."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field

from msgspec import UNSET

from toolbox.identifiers import new_id
from toolbox_process.engine.ends import Reason
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.job import Job
from toolbox_process.engine.job import Kind
from toolbox_process.engine.journals.command import Journal
from toolbox_process.engine.journals.command import JournaledSpool
from toolbox_process.engine.journals.session import SessionJournal
from toolbox_process.engine.launcher import Counts
from toolbox_process.engine.spool import ERR
from toolbox_process.engine.spool import OUT
from toolbox_process.engine.stdin_writer import StdinWriter
from toolbox_process.sessions.models import CommandInfo
from toolbox_process.sessions.script import Script

READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC

NEVER_RAN = -1
"""The exit code of a command whose shell ended before its turn came."""

SETTLE = 1.0
"""Seconds for a command to end after everything it started was ended."""


@dataclass(frozen=True)
class Task:
    """A command to run. With ``wait`` its input is empty; without, it reads the input it is sent.

    ``echo`` shows that input in its log. ``cwd`` and ``envs`` apply to this command only.
    """

    text: str
    wait: bool
    echo: bool = False
    cwd: str | None = None
    envs: Mapping[str, str] = field(default_factory=dict)


class Command(Job):
    """A command of a session: waiting for its turn, running or ended."""

    def __init__(
        self,
        engine: Engine,
        journal: SessionJournal,
        task: Task,
        command_id: str = "",
        carried: Journal | None = None,
    ) -> None:
        """A command that goes on after an upgrade has an id, and the ``carried`` journal."""
        job_id = command_id or new_id()
        settings = engine.settings
        self.task = task
        self.journal = carried or Journal.begin(journal, job_id, task.text)
        spool = JournaledSpool(
            settings.output_memory, settings.output_limit, engine.state.path, self.journal
        )
        super().__init__(engine.outfit(Kind.COMMAND, task.text, job_id, spool))
        self.wait = task.wait
        self.echo = task.echo
        # Input that arrives before its turn: clients don't wait for the start.
        self.early: list[bytes] = []
        self.running = False
        self.verdict: tuple[int, Reason] | None = None
        """Its exit code and the reason, known before its output is complete."""
        self.cancelled = False
        # Set when the shell is ended because of this command: the session gets another.
        self.spares_session = False
        # What the shell had started before; the rest is the command's.
        self.snapshot: object = None
        self.counts = Counts()
        self.script: Script | None = None

    def info(self) -> CommandInfo:
        exit_code = UNSET if self.exit_code is None else self.exit_code
        return CommandInfo(id=self.id, command=self.label, exit_code=exit_code)

    def finish(self, exit_code: int, reason: Reason) -> None:
        # First, so that an end that a client has seen is still known after a restart.
        self.journal.finish(exit_code, reason)
        self.snapshot = None
        super().finish(exit_code, reason)

    def connect(self, script: Script, program: bytes) -> None:
        """Open the pipes of a script that ``program`` is about to run. On the loop. Raises
        OSError.
        """
        # Error messages name the sourced file; for a command given with -c they name the shell.
        self.reader.rename(os.fsencode(script.text), program)
        for path, stream in ((script.out, OUT), (script.err, ERR)):
            self.reader.add(os.open(path, READ), stream)
        if not self.wait:
            # For reading too: before the shell has opened its end, writing alone fails (fifo(7)).
            source = os.open(script.source, os.O_RDWR | os.O_NONBLOCK)
            self.stdin = StdinWriter(self.loop, source)

    def fail(self, text: str) -> None:
        """Finish it, as it could not be started. On the loop."""
        self.running = False
        self.clear()
        self.note(f"could not be started: {text or 'the shell has ended'}\n")
        self.finish(NEVER_RAN, Reason.SPAWN_FAILED)

    def clear(self) -> None:
        """Delete its files."""
        if self.script is not None:
            self.script.remove()
            self.script = None

    def note(self, text: str) -> None:
        """Add a line to its standard error. On the loop."""
        data = self.reader.renamed(text.encode("utf-8", "backslashreplace"))
        self.spool.append(data, ERR)
        self.reader.notify()
