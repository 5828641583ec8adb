"""One command of a session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field

from msgspec import UNSET

from toolbox_process.engine import Engine
from toolbox_process.job import Job
from toolbox_process.job import Kind
from toolbox_process.job import Reason
from toolbox_process.job import new_id
from toolbox_process.journal import JournaledSpool
from toolbox_process.journal import SessionJournal
from toolbox_process.limits import Counts
from toolbox_process.script import Script
from toolbox_process.session_models import CommandInfo
from toolbox_process.spool import ERR

SETTLE = 1.0
"""Seconds a command has to end after everything it started was."""


@dataclass(frozen=True)
class Task:
    """What is to be run. With ``wait`` it has nothing to read; without, it reads what is sent to
    it, which ``echo`` shows in its log. ``cwd`` and ``envs`` hold for it alone.
    """

    text: str
    wait: bool
    echo: bool = False
    cwd: str | None = None
    envs: Mapping[str, str] = field(default_factory=dict)
    command_id: str = ""


class Command(Job):
    """Text for the shell, waiting for its turn, running or ended."""

    def __init__(
        self,
        engine: Engine,
        journal: SessionJournal,
        task: Task,
    ) -> None:
        job_id = task.command_id or new_id()
        settings = engine.settings
        self.task = task
        self._journal = journal.begin(job_id, task.text)
        spool = JournaledSpool(
            settings.output_memory, settings.output_limit, engine.state.path, self._journal
        )
        capture = engine.new_capture(spool)
        followers = engine.new_followers()
        super().__init__(Kind.COMMAND, task.text, spool, capture, engine.loop, followers, job_id)
        self.wait = task.wait
        self.echo = task.echo
        self.early: list[bytes] = []
        self.running = False
        self.completing = False
        self.cancelled = False
        self.spares_session = False
        self.before: frozenset[int] = frozenset()
        self.since = (0, 0)
        self.counts = Counts()
        self.script: Script | None = None

    def info(self) -> CommandInfo:
        exit_code = UNSET if self.exit_code is None else self.exit_code
        return CommandInfo(id=self.id, command=self.label, exit_code=exit_code)

    def finish(self, exit_code: int, reason: Reason) -> None:
        # First: an end that somebody was told stays told.
        self._journal.finish(exit_code, reason)
        self.before = frozenset()
        super().finish(exit_code, reason)

    def clear(self) -> None:
        """Delete what it was run by."""
        if self.script is not None:
            self.script.remove()
            self.script = None

    def note(self, text: str) -> None:
        """Add a line to its standard error. On the loop."""
        data = self.capture.renamed(text.encode("utf-8", "backslashreplace"))
        self.spool.append(data, ERR)
        self.capture.notify()
