"""The job engine: starts jobs, keeps them, ends them."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from toolbox.errors import describe_os_error
from toolbox.lifecycle import Context
from toolbox.processes import environment
from toolbox.processes import popen
from toolbox_process.automation import VARIABLES
from toolbox_process.automation import applies
from toolbox_process.capture import Capture
from toolbox_process.cores import Cores
from toolbox_process.errors import NotEnded
from toolbox_process.errors import ProcessNotFound
from toolbox_process.errors import SpawnFailed
from toolbox_process.finished import Finished
from toolbox_process.followers import Followers
from toolbox_process.job import Job
from toolbox_process.job import Kind
from toolbox_process.job import ProcessJob
from toolbox_process.job import Reason
from toolbox_process.journal import Journals
from toolbox_process.limits import Limits
from toolbox_process.marks import VARIABLE
from toolbox_process.marks import Mark
from toolbox_process.marks import new_mark
from toolbox_process.output import END_REASON
from toolbox_process.procfs import Process
from toolbox_process.settings import LocalSettings
from toolbox_process.shells import ChosenShell
from toolbox_process.spare import Spare
from toolbox_process.spec import Spec
from toolbox_process.spec import open_pipes
from toolbox_process.spool import ERR
from toolbox_process.spool import OUT
from toolbox_process.spool import Spool
from toolbox_process.statedir import StateDirectory
from toolbox_process.tree import Tree
from toolbox_process.waiting import Places
from toolbox_process.workdir import note_of
from toolbox_process.workdir import start_directory
from toolbox_process.writer import Writer

SHORTAGE = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
"""What passes by itself; everything else is a fault of what was to be started."""

AFTER_KILL = 5.0
"""Seconds the output of something killed is waited for; its drain takes far less."""

AGAIN = 1.0
"""Seconds until what could not be ended is tried again."""

log = logging.getLogger("toolbox")

Found = TypeVar("Found")


class Engine:
    """Every job of the service."""

    def __init__(self, settings: LocalSettings, context: Context) -> None:
        self.settings = settings
        self.loop = context.loop
        self.pool = context.pool
        self.work_dir = context.work_dir
        self.mask = context.mask
        self.state = StateDirectory(settings.state_dir)
        self.pipes = StateDirectory(settings.state_dir, small=True)
        lasting = StateDirectory(settings.state_dir, lasting=True)
        self.journals = Journals(lasting, settings.total_output_limit)
        self.limits = Limits()
        self.spare = Spare()
        self._shell = ChosenShell(settings.shell)
        self._cores = Cores()
        self._lock = threading.Lock()
        self._running: dict[str, Job] = {}
        self._finished = Finished(settings, context.loop)
        self.places = Places(context.options.max_waiting)
        self.restarted = context.restarted

    def not_there(self, what: str, name: str) -> ProcessNotFound:
        """The error for an id that is not known, and why that may be.

        Clients look for the first words, which are the Daytona Toolbox API's.
        """
        text = f"{what} not found: {name!r}"
        if not self.restarted:
            return ProcessNotFound(text)
        return ProcessNotFound(
            f"{text}; the service was restarted, and what ran before it has ended",
            {END_REASON: Reason.DAEMON_RESTART.value},
        )

    def shell(self) -> str:
        """The path of the shell, the same as long as the service runs. Raises ProgramMissing."""
        return self._shell.path()

    def directory(self, cwd: str | None) -> Path:
        """Where a program starts that was asked for with ``cwd``."""
        return self.work_dir / cwd if cwd else start_directory(self.work_dir)

    def note(self, cwd: str | None = None) -> dict[str, str]:
        """The header of an answer if a program doesn't start where it is expected to."""
        return note_of(self.work_dir, self.directory(cwd)) if not cwd else {}

    # Starting

    def new_spool(self) -> Spool:
        """A spool for a job's output."""
        settings = self.settings
        return Spool(settings.output_memory, settings.output_limit, self.state.path)

    def new_capture(self, spool: Spool) -> Capture:
        """What reads a job's output into ``spool``."""
        settings = self.settings
        return Capture(self.loop, spool, settings.drain_idle, settings.drain_limit, self.mask)

    def new_followers(self) -> Followers:
        """Who follows a job."""
        return Followers(self.settings.max_followers)

    def start(self, spec: Spec, spool: Spool | None = None) -> ProcessJob:
        """Start a process. Raises SpawnFailed, or OSError if the system has no room for it."""
        spool = spool or self.new_spool()
        job = ProcessJob(
            spec.kind,
            spec.label,
            spool,
            self.new_capture(spool),
            self.loop,
            self.new_followers(),
            self.limits,
            spec.job_id,
        )
        job.mark = self.new_mark(job.id)
        # Whatever needs a descriptor is there before there is a process nobody watches.
        with (
            open_pipes(2 if spec.split else 1) as pipes,
            open_pipes(spec.stdin == subprocess.PIPE) as inputs,
        ):
            writers = [pipe[1] for pipe in pipes]
            stdin = inputs[0][0] if inputs else spec.stdin
            process = self.spawn(
                spec,
                job.mark,
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=writers[0],
                stderr=writers[-1],
            )
            readers = [pipe.pop(0) for pipe in pipes]
            if inputs:
                job.stdin = Writer(self.loop, inputs[0].pop(1))
        for fd, stream in zip(readers, (OUT, ERR), strict=False):
            self.loop.call_soon(partial(job.capture.add, fd, stream))
        self.adopt(job, process)
        return job

    def new_mark(self, job_id: str) -> Mark:
        """What the processes of a job that starts now are known by."""
        return new_mark(job_id, self._tags())

    def _tags(self) -> list[int]:
        with self._lock:
            running = list(self._running.values())
        return [job.mark.tag for job in running if isinstance(job, ProcessJob)]

    def spawn(self, spec: Spec, mark: Mark, **streams: int) -> subprocess.Popen[bytes]:
        """Start the program itself. Raises as :meth:`start`."""
        cwd = self.directory(spec.cwd)
        env = self.environment_of(spec)
        try:
            return popen(
                list(spec.arguments),
                mark.number,
                cwd=cwd,
                env={**env, VARIABLE: mark.job_id},
                pass_fds=spec.pass_fds,
                bufsize=0,
                **streams,
            )
        except OSError as error:
            if error.errno in SHORTAGE:
                raise
            raise SpawnFailed(describe_os_error(error)) from None

    def environment_of(self, spec: Spec) -> dict[str, str]:
        """What a program sees: the service's variables, the profile's, and its own, which win."""
        env = {**self._cores.hints(), **environment(), **spec.envs}
        return {**env, **VARIABLES, **spec.envs} if applies(env) else env

    def adopt(self, job: ProcessJob, process: subprocess.Popen[bytes]) -> None:
        """Watch over the process of a job from now on."""
        job.take(process)
        self.register(job)

    def register(self, job: Job) -> None:
        """List a job, and remember it for a while after its end."""
        with self._lock:
            self._running[job.id] = job
        self.loop.call_soon(lambda: job.when_ended(lambda: self._on_ended(job)))

    # Looking

    def jobs(self, kind: Kind | None = None) -> list[Job]:
        """Every job known, or those of one kind, the oldest first."""
        with self._lock:
            known = [*self._finished.jobs(), *self._running.values()]
        chosen = [job for job in known if kind is None or job.kind is kind]
        return sorted(chosen, key=lambda job: job.started)

    def find(self, job_id: str) -> Job | None:
        """The job with that id."""
        with self._lock:
            return self._running.get(job_id) or self._finished.find(job_id)

    # Waiting and ending

    def end(
        self,
        job: ProcessJob,
        reason: Reason,
        grace: float | None = None,
        signals: Sequence[int] = (signal.SIGTERM,),
        also: Sequence[Mark] = (),
    ) -> None:
        """End a job and everything it has started, and what bears one of the marks ``also``.

        Blocks until that is so and the output is complete. Raises NotEnded.
        """
        seconds = self.settings.grace if grace is None else grace

        def end() -> list[Process]:
            leader = job.note_ending(reason)
            return self.tree(job, leader, also).end(seconds, signals)

        if left := self.surely(end):
            raise NotEnded(f"could not be ended: {', '.join(str(each.pid) for each in left)}")
        job.done.wait(AFTER_KILL)

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

    def tree(self, job: ProcessJob, leader: Process | None, also: Sequence[Mark] = ()) -> Tree:
        """Everything a job has started, and what bears one of the marks ``also``."""
        alone = self._tags().count(job.mark.tag) <= 1
        return Tree([leader] if leader else [], [job.mark._replace(alone=alone), *also])

    def surely(self, look: Callable[[], Found]) -> Found:
        """``look()``, which looks at processes, although there may be no descriptor left for that.
        Raises NotEnded.
        """
        try:
            try:
                found = look()
                self.spare.fill()
                return found
            except OSError as error:
                if error.errno not in SHORTAGE:
                    raise
            with self.spare.given_up():
                return look()
        except OSError as error:
            raise NotEnded(f"could not be ended: {os.strerror(error.errno or 0)}") from None

    # The end

    def _on_ended(self, job: Job) -> None:
        with self._lock:
            self._running.pop(job.id, None)
            self._finished.add(job)

    def close(self) -> None:
        """End every job, and what finished ones have left running."""
        jobs = [job for job in self.jobs() if isinstance(job, ProcessJob)]
        running = [job for job in jobs if not job.exited]
        for job in running:
            if job.kind is Kind.TERMINAL:
                job.signal(signal.SIGHUP)  # An interactive shell doesn't mind TERM.

        def end() -> list[Process]:
            found = [job.note_ending(Reason.CANCELLED) for job in running]
            leaders = [leader for leader in found if leader]
            return Tree(leaders, [job.mark for job in jobs]).end(self.settings.grace)

        with suppress(NotEnded):  # The master ends what is left.
            self.surely(end)
        deadline = time.monotonic() + 1
        for job in running:
            job.done.wait(max(0.0, deadline - time.monotonic()))
        self.state.close()
        self.pipes.close()
        self.journals.close()
        self.limits.close()
        self.spare.close()
