"""The job engine: starts jobs, keeps them, ends them."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field
from functools import partial

from toolbox.errors import describe_os_error
from toolbox.lifecycle import Context
from toolbox.processes import environment
from toolbox.processes import popen
from toolbox_process.automation import VARIABLES
from toolbox_process.automation import applies
from toolbox_process.capture import Capture
from toolbox_process.errors import ProcessNotFound
from toolbox_process.errors import SpawnFailed
from toolbox_process.errors import TooManyWaiting
from toolbox_process.finished import Finished
from toolbox_process.followers import Followers
from toolbox_process.job import Job
from toolbox_process.job import Kind
from toolbox_process.job import ProcessJob
from toolbox_process.job import Reason
from toolbox_process.journal import Journals
from toolbox_process.limits import Limits
from toolbox_process.output import END_REASON
from toolbox_process.settings import LocalSettings
from toolbox_process.spool import ERR
from toolbox_process.spool import OUT
from toolbox_process.spool import Spool
from toolbox_process.statedir import StateDirectory
from toolbox_process.tree import MARK
from toolbox_process.tree import Process
from toolbox_process.tree import Tree
from toolbox_process.writer import Writer

SHORTAGE = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
"""What passes by itself; everything else is a fault of what was to be started."""

WAIT_FOR_PLACE = 2.0
"""Seconds a request waits for one of the places of those that wait for commands."""

AFTER_KILL = 5.0
"""Seconds the output of something killed is waited for; its drain takes far less."""


@dataclass(frozen=True)
class Spec:
    """What to start.

    ``stdin`` is a file descriptor, ``subprocess.PIPE`` for one that is written to later, or None
    for nothing to read. ``split`` gives standard error a pipe of its own.
    """

    kind: Kind
    label: str
    arguments: Sequence[str]
    cwd: str | None = None
    envs: Mapping[str, str] = field(default_factory=dict)
    stdin: int | None = None
    split: bool = False
    pass_fds: tuple[int, ...] = ()
    job_id: str = ""


class Engine:
    """Every job of the service."""

    def __init__(self, settings: LocalSettings, context: Context) -> None:
        self.settings = settings
        self.loop = context.loop
        self.pool = context.pool
        self.work_dir = context.work_dir
        self.state = StateDirectory(settings.state_dir)
        self.pipes = StateDirectory(settings.state_dir, small=True)
        lasting = StateDirectory(settings.state_dir, lasting=True)
        self.journals = Journals(lasting, settings.total_output_limit)
        self.limits = Limits()
        self._lock = threading.Lock()
        self._running: dict[str, Job] = {}
        self._finished = Finished(settings, context.loop)
        self._places = threading.BoundedSemaphore(context.options.max_waiting)
        self.restarted = context.restarted

    def not_there(self, what: str) -> ProcessNotFound:
        """The error for an id that is not known, and why that may be."""
        if not self.restarted:
            return ProcessNotFound(f"there is no {what}")
        return ProcessNotFound(
            f"there is no {what}; the service was restarted, and what ran before it has ended",
            {END_REASON: Reason.DAEMON_RESTART.value},
        )

    # Starting

    def new_spool(self) -> Spool:
        """A spool for a job's output."""
        settings = self.settings
        return Spool(settings.output_memory, settings.output_limit, self.state.path)

    def new_capture(self, spool: Spool) -> Capture:
        """What reads a job's output into ``spool``."""
        return Capture(self.loop, spool, self.settings.drain_idle, self.settings.drain_limit)

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
        with _pipes(2 if spec.split else 1) as pipes:
            writers = [pipe[1] for pipe in pipes]
            process = self.spawn(
                spec,
                job.id,
                stdin=subprocess.DEVNULL if spec.stdin is None else spec.stdin,
                stdout=writers[0],
                stderr=writers[-1],
            )
            readers = [pipe.pop(0) for pipe in pipes]
        if process.stdin is not None:
            job.stdin = Writer(self.loop, os.dup(process.stdin.fileno()))
            process.stdin.close()
        for fd, stream in zip(readers, (OUT, ERR), strict=False):
            self.loop.call_soon(partial(job.capture.add, fd, stream))
        self.adopt(job, process)
        return job

    def spawn(self, spec: Spec, job_id: str, **streams: int) -> subprocess.Popen[bytes]:
        """Start the program itself. Raises as :meth:`start`."""
        cwd = self.work_dir / spec.cwd if spec.cwd else self.work_dir
        env = {**environment(), **spec.envs}
        if applies(env):
            env = {**env, **VARIABLES, **spec.envs}
        try:
            return popen(
                list(spec.arguments),
                cwd=cwd,
                env={**env, MARK: job_id},
                pass_fds=spec.pass_fds,
                bufsize=0,
                **streams,
            )
        except OSError as error:
            if error.errno in SHORTAGE:
                raise
            raise SpawnFailed(describe_os_error(error)) from None

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

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """A place among the requests that wait. Raises TooManyWaiting."""
        if not self._places.acquire(timeout=WAIT_FOR_PLACE):
            raise TooManyWaiting("too many requests wait for commands", {"Retry-After": "1"})
        try:
            yield
        finally:
            self._places.release()

    def wait(self, job: Job, timeout: float | None) -> bool:
        """Wait for the end; whether it has come within ``timeout`` seconds (0 or None: any)."""
        return job.done.wait(timeout or None)

    def end(
        self,
        job: ProcessJob,
        reason: Reason,
        grace: float | None = None,
        signals: Sequence[int] = (signal.SIGTERM,),
    ) -> list[Process]:
        """End a job and everything it has started; what could not be ended.

        Blocks until that is so and the output is complete.
        """
        leader = job.note_ending(reason)
        tree = Tree([leader] if leader else [], [job.id])
        left = tree.end(self.settings.grace if grace is None else grace, signals)
        job.done.wait(AFTER_KILL)
        return left

    # The end

    def _on_ended(self, job: Job) -> None:
        with self._lock:
            self._running.pop(job.id, None)
            self._finished.add(job)

    def close(self) -> None:
        """End every job, and what finished ones have left running."""
        with self._lock:
            running = [job for job in self._running.values() if isinstance(job, ProcessJob)]
            marks = [*self._running, *(job.id for job in self._finished.jobs())]
        found = [job.note_ending(Reason.CANCELLED) for job in running]
        leaders = [leader for leader in found if leader]
        for job in running:
            if job.kind is Kind.TERMINAL:
                job.signal(signal.SIGHUP)  # An interactive shell doesn't mind TERM.
        Tree(leaders, marks).end(self.settings.grace)
        deadline = time.monotonic() + 1
        for job in running:
            job.done.wait(max(0.0, deadline - time.monotonic()))
        self.state.close()
        self.pipes.close()
        self.journals.close()
        self.limits.close()


@contextmanager
def _pipes(count: int) -> Iterator[list[list[int]]]:
    """New pipes as [read end, write end]; what the caller hasn't taken out is closed after."""
    pipes: list[list[int]] = []
    try:
        for _ in range(count):
            pipes.append(list(os.pipe2(os.O_CLOEXEC)))
        yield pipes
    finally:
        for pipe in pipes:
            for fd in pipe:
                with suppress(OSError):
                    os.close(fd)
