"""The job engine: starts jobs, keeps them, ends them."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from toolbox.activity import Mark
from toolbox.errors import BadRequest
from toolbox.errors import describe_os_error
from toolbox.identifiers import new_id
from toolbox.lifecycle import Context
from toolbox.sockets.brief_loop import BriefLoop
from toolbox.sockets.loop import Loop
from toolbox_process.engine.ends import Reason
from toolbox_process.engine.followers import FollowerLimit
from toolbox_process.engine.history import JobList
from toolbox_process.engine.job import JobParts
from toolbox_process.engine.job import Kind
from toolbox_process.engine.job import ProcessJob
from toolbox_process.engine.journals.session import Journals
from toolbox_process.engine.launcher import SHORTAGE
from toolbox_process.engine.launcher import Child
from toolbox_process.engine.launcher import Launcher
from toolbox_process.engine.launcher import Pipes
from toolbox_process.engine.launcher import Program
from toolbox_process.engine.launcher import TerminalSize
from toolbox_process.engine.pipe_reader import PipeReader
from toolbox_process.engine.profile import complete
from toolbox_process.engine.shells import ChosenShell
from toolbox_process.engine.spec import PIPE
from toolbox_process.engine.spec import OpenPipes
from toolbox_process.engine.spec import Spec
from toolbox_process.engine.spool import ERR
from toolbox_process.engine.spool import OUT
from toolbox_process.engine.spool import Spool
from toolbox_process.engine.state import StateDirectory
from toolbox_process.engine.state import find_private
from toolbox_process.engine.stdin_writer import StdinWriter
from toolbox_process.engine.views.making import read_terminal
from toolbox_process.engine.waiting import Shutter
from toolbox_process.engine.waiting import limit_time
from toolbox_process.engine.waiting import new_gate
from toolbox_process.errors import NotEnded
from toolbox_process.errors import ProcessNotFound
from toolbox_process.errors import SpawnFailed
from toolbox_process.settings import LocalSettings

AFTER_KILL = 5.0
"""Seconds the output of something killed is waited for; its drain takes far less."""

AGAIN = 1.0
"""Seconds until another attempt to end what could not be ended."""

log = logging.getLogger("toolbox")

Found = TypeVar("Found")


class Engine:
    """Every job of the service, started by one launcher."""

    def __init__(self, settings: LocalSettings, context: Context, launcher: Launcher) -> None:
        self.settings = settings
        self.launcher = launcher
        self.loop = context.loop
        self.pool = context.pool
        self.work_dir = context.work_dir
        self.mask = context.mask
        self.state = StateDirectory(settings.state_dir, share=launcher.share)
        self.pipes = StateDirectory(settings.state_dir, small=True, share=launcher.share)
        lasting = StateDirectory(settings.state_dir, lasting=True)
        self.journals = Journals(lasting, settings.total_output_limit)
        self._shell = ChosenShell(settings.shell)
        self._jobs = JobList(settings, context.loop, context.pool.submit)
        self.register = self._jobs.add
        self.register_new = self._jobs.add_new
        self.jobs = self._jobs.all
        self.find = self._jobs.find
        self.ages, self.restore = self._jobs.ages, self._jobs.restore
        self.shutter = Shutter()
        self.waiting = new_gate(context.group_settings.max_waiting)
        self.restarted = context.restarted
        self.private: list[Path] = []
        """More directories to keep from programs."""
        directories = (self.state, self.pipes, lasting)
        secrets = context.auth.store.files.paths() if context.auth else []
        self.private += secrets
        launcher.hide(lambda: [*self.private, *find_private(directories, context.backends)])

    @property
    def last_end(self) -> Mark | None:
        """The moment in which something that ran for a client ended last."""
        return self._jobs.last_end

    def note_end(self) -> None:
        """Note such a moment of something that is no job of its own. *Any thread.*"""
        self._jobs.last_end = Mark.now()

    def not_there(self, what: str, name: str) -> ProcessNotFound:
        """Return the error for an id that is not known, with the reason if that may be a restart.

        Clients look for the first words, which are the Daytona Toolbox API's.
        """
        text = f"{what} not found: {name!r}"
        if not self.restarted:
            return ProcessNotFound(text)
        return ProcessNotFound(
            f"{text}; the service was restarted, and what ran before it has ended",
            Reason.DAEMON_RESTART.value,
        )

    def shell(self) -> str:
        """Return the path of the shell, the same as long as the service runs. Raises
        ProgramMissing.
        """
        return self._shell.path()

    def directory(self, cwd: str | None) -> Path:
        """Return the directory that a program starts in when ``cwd`` was asked for."""
        return self.work_dir / cwd if cwd else self.launcher.start_directory(self.work_dir)

    def note(self, cwd: str | None = None) -> str:
        """Return a note for the client if a program doesn't start where it is expected to."""
        if cwd or (started := self.directory(None)) == self.work_dir:
            return ""
        return f"no working directory {self.work_dir}: started in {started}"

    # Starting

    def outfit(
        self,
        kind: Kind,
        label: str,
        job_id: str = "",
        spool: Spool | None = None,
        loop: Loop | None = None,
    ) -> JobParts:
        """Return the parts of a new job, by default with a new id and a new spool."""
        settings, loop = self.settings, loop or self.loop
        spool = spool or self.new_spool()
        return JobParts(
            kind=kind,
            label=label,
            id=job_id or new_id(),
            loop=loop,
            spool=spool,
            reader=PipeReader(loop, spool, settings.drain_idle, settings.drain_limit, self.mask),
            followers=FollowerLimit(settings.max_followers),
        )

    def new_spool(self) -> Spool:
        """Return a spool for a job's output."""
        return Spool(self.settings.output_memory, self.settings.output_limit, self.state.path)

    def start(self, spec: Spec, spool: Spool | None = None) -> ProcessJob:
        """Start a program. Raises SpawnFailed, or OSError if the system has no room for it."""
        with self.shutter:
            return self._start(spec, spool, self.loop)

    def start_and_wait(self, spec: Spec, spool: Spool) -> ProcessJob:
        """Start a program on pipes as :meth:`start` does, and wait a moment for its end."""
        loop = BriefLoop(self.loop)
        # A hand-over to the next worker waits until the job is on the I/O loop.
        with self.shutter:
            job = self._start(spec, spool, loop)
            loop.run(job.done, job.child.wait_fd >= 0)
        return job

    def _start(self, spec: Spec, spool: Spool | None, loop: Loop) -> ProcessJob:
        job = ProcessJob(self.outfit(spec.kind, spec.label, spec.job_id, spool, loop))
        job.limits = spec.limits
        if spec.terminal is None:
            child = self._start_on_pipes(spec, job)
        else:
            child = self.launch(spec, job.id, spec.terminal)
            job.stdin = StdinWriter(self.loop, child.terminal, own=False)
            job.view = read_terminal(
                self, job, child.terminal, spec.terminal, spec.envs.get("TERM", "")
            )
        self.register_new(job)
        job.run(child)
        return job

    def _start_on_pipes(self, spec: Spec, job: ProcessJob) -> Child:
        # All that needs a descriptor is there before there is a program that isn't watched.
        outputs = 2 if spec.split else 1
        with OpenPipes(outputs + (spec.stdin == PIPE)) as pipes:
            stdin = pipes[-1][0] if spec.stdin == PIPE else spec.stdin
            streams = Pipes(stdin, pipes[0][1], pipes[outputs - 1][1])
            child = self.launch(spec, job.id, streams)
            if spec.stdin == PIPE:
                job.stdin = StdinWriter(self.loop, pipes[-1].pop(1))
            readers = [pipe.pop(0) for pipe in pipes[:outputs]]
        for fd, stream in zip(readers, (OUT, ERR), strict=False):
            job.reader.add(fd, stream)
        return child

    def launch(self, spec: Spec, job_id: str, streams: Pipes | TerminalSize) -> Child:
        """Start the program alone. Raises as :meth:`start`, and BadRequest for a ``user`` or
        ``limits`` that the launcher can't heed.
        """
        for name in ("user", "limits"):
            if getattr(spec, name) and name not in self.launcher.chooses:
                raise BadRequest(f"{name}: not possible with this service's launcher")
        cwd, variables = self.directory(spec.cwd), self.launcher.environment()
        if spec.user:
            home, variables = self.launcher.outfit(spec.user, self.work_dir)
            cwd = self.work_dir / spec.cwd if spec.cwd else home
        env = complete(variables, spec.envs, isinstance(streams, TerminalSize))
        program = Program(
            job_id, spec.arguments, cwd, env, spec.pass_fds, spec.state, spec.user, spec.limits
        )
        try:
            return self.launcher.start(program, streams)
        except OSError as error:
            if error.errno in SHORTAGE:
                raise
            raise SpawnFailed(describe_os_error(error)) from None

    # Ending

    def end(
        self,
        job: ProcessJob,
        reason: Reason,
        grace: float | None = None,
        signals: Sequence[int] = (signal.SIGTERM,),
        also: Sequence[Child] = (),
    ) -> None:
        """End a job and everything it has started, and what the children ``also`` have.

        Blocks until that is so and the output is complete. Raises NotEnded.
        """
        seconds = self.settings.grace if grace is None else grace

        def end() -> list[int]:
            job.note_ending(reason)
            return job.child.end_tree(seconds, signals, also)

        if left := self.surely(end):
            raise NotEnded(f"could not be ended: {', '.join(map(str, left))}")
        job.done.wait(AFTER_KILL)

    def limit(self, job: ProcessJob, seconds: float) -> None:
        """End a job after ``seconds`` unless it has ended by then. *Any thread.*"""
        grace = self.settings.timeout_grace
        limit_time(self.loop, job, seconds, lambda: self.end_soon(job, Reason.TIMEOUT, grace))

    def end_soon(self, job: ProcessJob, reason: Reason, grace: float | None = None) -> None:
        """End a job on the pool, and try again while that can't be done. *Any thread.*"""

        def end() -> None:
            try:
                self.end(job, reason, grace)
            except NotEnded as error:
                log.error("%s %s: %s", job.kind.value, job.id, error.message)
                if not job.done.is_set():
                    again = partial(self.end_soon, job, reason, grace)
                    self.loop.call_soon(lambda: self.loop.call_later(AGAIN, again))

        self.pool.submit(end)

    @staticmethod
    def surely(look: Callable[[], Found]) -> Found:
        """Return ``look()``, which looks at processes. Raises NotEnded if it can't."""
        try:
            return look()
        except OSError as error:
            raise NotEnded(f"could not be ended: {os.strerror(error.errno or 0)}") from None

    def close(self) -> None:
        """End every job, and what finished ones have left running."""
        jobs = [job for job in self.jobs() if isinstance(job, ProcessJob)]
        running = [job for job in jobs if not job.exited]
        for job in running:
            job.note_ending(Reason.CANCELLED)
            if job.kind is Kind.TERMINAL:
                job.signal(signal.SIGHUP)  # An interactive shell doesn't mind TERM.
        children = [job.child for job in running]
        ended = [job.child for job in jobs if job.exited]
        with suppress(NotEnded):  # The master ends what is left.
            self.surely(lambda: self.launcher.end_all(children, ended, self.settings.grace))
        deadline = time.monotonic() + 1
        for job in running:
            job.done.wait(max(0.0, deadline - time.monotonic()))
        self.state.close()
        self.pipes.close()
        self.journals.close()
        self.launcher.close()
