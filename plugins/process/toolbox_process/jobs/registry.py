"""Every job by id: listing, waiting, signaling, ending."""

from __future__ import annotations

import os
import threading
from typing import Protocol

from toolbox.errors import BadRequest
from toolbox_process.engine.checks import check_environment
from toolbox_process.engine.checks import check_text
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.job import Job
from toolbox_process.engine.job import Kind
from toolbox_process.engine.job import ProcessJob
from toolbox_process.engine.job import Reason
from toolbox_process.engine.shells import command_line
from toolbox_process.engine.spec import PIPE
from toolbox_process.engine.spec import Spec
from toolbox_process.engine.stdin_writer import InputClosed
from toolbox_process.engine.stdin_writer import InputFull
from toolbox_process.engine.waiting import IsDisconnected
from toolbox_process.engine.waiting import never
from toolbox_process.engine.waiting import wait_for
from toolbox_process.errors import AlreadyExists
from toolbox_process.errors import CommandCompleted
from toolbox_process.errors import InputUnavailable
from toolbox_process.jobs.models import StartJobRequest


class SessionCommands(Protocol):
    """Commands of sessions: jobs without a program of their own."""

    def cancel(self, command_id: str) -> None:
        """End a command, in whichever session it is. Raises NotEnded."""

    def signal(self, command_id: str, number: int, tree: bool) -> None:
        """Send a signal to a command. Raises CommandCompleted, NotEnded."""


class LocalJobs:
    """See :class:`toolbox_process.jobs.protocol.Jobs`."""

    def __init__(self, engine: Engine, commands: SessionCommands) -> None:
        self._engine = engine
        self._commands = commands
        self._starting = threading.Lock()
        self._requests: dict[str, StartJobRequest] = {}

    def list(self) -> list[Job]:
        return self._engine.jobs()

    def get(self, job_id: str) -> Job:
        job = self._engine.find(job_id)
        if job is None:
            raise self._engine.not_there("job", job_id)
        return job

    def start(self, request: StartJobRequest) -> tuple[Job, str]:
        if not request.command.strip():
            raise BadRequest("the command is empty")
        check_text("the command", request.command)
        check_text("cwd", request.cwd or "")
        envs = check_environment(request.envs)
        note = self._engine.note(request.cwd)
        if request.id is None:
            return self._start(request, envs), note
        # Serialized: the second of two requests with one id must find the job of the first.
        with self._starting:
            if known := self._engine.find(request.id):
                if self._requests.get(request.id) != request:
                    raise AlreadyExists(
                        f"job already exists: id {request.id!r} is used by a different request"
                    )
                return known, ""
            job = self._start(request, envs)
            # As long as their jobs are known, so that these don't grow without limit.
            self._requests = {
                name: earlier for name, earlier in self._requests.items() if self._engine.find(name)
            }
            self._requests[request.id] = request
            return job, note

    def _start(self, request: StartJobRequest, envs: dict[str, str]) -> Job:
        engine = self._engine
        shell = engine.shell()
        arguments, script = command_line(shell, request.command, engine.state.path)
        try:
            job = engine.start(
                Spec(
                    Kind.JOB,
                    request.command,
                    arguments,
                    request.cwd,
                    envs,
                    stdin=PIPE if request.stdin else None,
                    split=True,
                    pass_fds=() if script is None else (script,),
                    job_id=request.id or "",
                )
            )
        finally:
            if script is not None:
                os.close(script)
        if request.timeout:
            # If the job has ended by then, when_ended cancels the timer at once.
            timer = engine.loop.call_later(request.timeout, lambda: self._time_is_over(job))
            engine.loop.call_soon(lambda: job.when_ended(timer.cancel))
        return job

    def _time_is_over(self, job: ProcessJob) -> None:
        if not job.done.is_set():
            grace = self._engine.settings.timeout_grace
            self._engine.end_soon(job, Reason.TIMEOUT, grace)

    def wait(self, job_id: str, timeout: float, is_disconnected: IsDisconnected = never) -> Job:
        job = self.get(job_id)
        with self._engine.waiting.admitted():
            if timeout:
                wait_for(job.done, timeout, is_disconnected)
        return job

    def signal(self, job_id: str, number: int, tree: bool) -> None:
        job = self.get(job_id)
        if job.kind is Kind.COMMAND:
            self._commands.signal(job_id, number, tree)
        elif not isinstance(job, ProcessJob) or not self._signal(job, number, tree):
            raise CommandCompleted(f"job {job_id!r} has ended")

    def _signal(self, job: ProcessJob, number: int, tree: bool) -> bool:
        send = job.child.signal_tree if tree else job.signal
        return self._engine.surely(lambda: send(number))

    def write(self, job_id: str, data: bytes, eof: bool) -> None:
        job = self.get(job_id)
        if job.done.is_set():
            raise CommandCompleted(f"job {job_id!r} has ended")
        # Of a terminal there is no end: the program reads it from the terminal (Ctrl-D).
        takes = job.kind is Kind.JOB or (job.kind is Kind.TERMINAL and not eof)
        if not takes or job.stdin is None:
            raise InputUnavailable(f"job {job_id!r} takes no input")
        try:
            if data:
                job.stdin.write(data)
            if eof:
                job.stdin.close()
        except InputClosed:
            raise CommandCompleted(f"job {job_id!r} has closed its input") from None
        except InputFull:
            raise InputUnavailable("the job's input buffer is full") from None

    def end(self, job_id: str) -> Job:
        job = self.get(job_id)
        if job.kind is Kind.COMMAND:
            # A command shares its shell with others; only its session can tell them apart.
            self._commands.cancel(job_id)
        elif isinstance(job, ProcessJob):
            self._engine.end(job, Reason.CANCELLED)
        return job
