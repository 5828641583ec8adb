"""Every job by id: looking, waiting, signalling, ending, whoever has started it."""

from __future__ import annotations

import base64
import os
import subprocess
import threading

from toolbox.errors import BadRequest
from toolbox_process.command import Command
from toolbox_process.engine import Engine
from toolbox_process.errors import AlreadyExists
from toolbox_process.errors import CommandCompleted
from toolbox_process.errors import InputUnavailable
from toolbox_process.execute import check_environment
from toolbox_process.execute import check_text
from toolbox_process.job import Job
from toolbox_process.job import Kind
from toolbox_process.job import ProcessJob
from toolbox_process.job import Reason
from toolbox_process.job_models import JobInfo
from toolbox_process.job_models import JobOutput
from toolbox_process.job_models import OutputQuery
from toolbox_process.job_models import Piece
from toolbox_process.job_models import StartJobRequest
from toolbox_process.sessions import LocalSessions
from toolbox_process.shells import command_line
from toolbox_process.spec import Spec
from toolbox_process.spool import ERR
from toolbox_process.spool import Chunk
from toolbox_process.tree import send
from toolbox_process.waiting import Gone
from toolbox_process.waiting import never
from toolbox_process.waiting import wait_for
from toolbox_process.writer import InputClosed
from toolbox_process.writer import InputFull


class LocalJobs:
    """See :class:`toolbox_process.backend.Jobs`."""

    def __init__(self, engine: Engine, sessions: LocalSessions) -> None:
        self._engine = engine
        self._sessions = sessions
        self._starting = threading.Lock()
        self._requests: dict[str, StartJobRequest] = {}

    def list(self) -> list[Job]:
        return self._engine.jobs()

    def get(self, job_id: str) -> Job:
        job = self._engine.find(job_id)
        if job is None:
            raise self._engine.not_there("job", job_id)
        return job

    def start(self, request: StartJobRequest) -> tuple[Job, dict[str, str]]:
        if not request.command.strip():
            raise BadRequest("the command is empty")
        check_text("the command", request.command)
        check_text("cwd", request.cwd or "")
        envs = check_environment(request.envs)
        note = self._engine.note(request.cwd)
        if request.id is None:
            return self._start(request, envs), note
        with self._starting:
            if known := self._engine.find(request.id):
                if self._requests.get(request.id) != request:
                    raise AlreadyExists(f"job already exists: {request.id!r} is another")
                return known, {}
            job = self._start(request, envs)
            self._requests = {
                name: each for name, each in self._requests.items() if self._engine.find(name)
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
                    stdin=subprocess.PIPE if request.stdin else None,
                    split=True,
                    pass_fds=() if script is None else (script,),
                    job_id=request.id or "",
                )
            )
        finally:
            if script is not None:
                os.close(script)
        if request.timeout:
            timer = engine.loop.call_later(request.timeout, lambda: self._time_is_over(job))
            engine.loop.call_soon(lambda: job.when_ended(timer.cancel))
        return job

    def _time_is_over(self, job: ProcessJob) -> None:
        if not job.done.is_set():
            grace = self._engine.settings.timeout_grace
            self._engine.end_soon(job, Reason.TIMEOUT, grace)

    def wait(self, job_id: str, timeout: float, gone: Gone = never) -> Job:
        job = self.get(job_id)
        with self._engine.places.one():
            if timeout:
                wait_for(job.done, timeout, gone)
        return job

    def signal(self, job_id: str, number: int, tree: bool) -> None:
        job = self.get(job_id)
        if isinstance(job, Command):
            self._sessions.signal(job, number, tree)
        elif not isinstance(job, ProcessJob) or not self._signal(job, number, tree):
            raise CommandCompleted(f"job {job_id!r} has ended")

    def _signal(self, job: ProcessJob, number: int, tree: bool) -> bool:
        leader = self._engine.surely(job.leader) if tree else None
        if leader is None:
            return job.signal(number)
        members = self._engine.surely(self._engine.tree(job, leader).members)
        self._engine.surely(lambda: send(members, number))
        return True

    def write(self, job_id: str, data: bytes, eof: bool) -> None:
        job = self.get(job_id)
        if job.done.is_set():
            raise CommandCompleted(f"job {job_id!r} has ended")
        if job.kind is not Kind.JOB or job.stdin is None:
            raise InputUnavailable(f"job {job_id!r} reads no input from here")
        try:
            if data:
                job.stdin.write(data)
            if eof:
                job.stdin.close()
        except InputClosed:
            raise CommandCompleted(f"job {job_id!r} reads no more input") from None
        except InputFull:
            raise InputUnavailable("the job has not read what it was sent before") from None

    def end(self, job_id: str) -> Job:
        job = self.get(job_id)
        if isinstance(job, Command):
            self._sessions.cancel(job)
        elif isinstance(job, ProcessJob):
            self._engine.end(job, Reason.CANCELLED)
        return job


def describe(job: Job) -> JobInfo:
    """What clients are shown of a job."""
    return JobInfo(
        id=job.id,
        kind=job.kind.value,
        command=job.label,
        started_at=job.started.isoformat(),
        output_start=job.spool.start,
        output_end=job.spool.end,
        done=job.done.is_set(),
        pid=job.pid,
        ended_at=job.ended.isoformat() if job.ended else None,
        exit_code=job.exit_code,
        reason=job.reason.value if job.reason else None,
    )


def piece(chunk: Chunk, encoding: str) -> Piece:
    """A chunk as clients are sent it."""
    if encoding == "text":
        data = chunk.data.decode("utf-8", "replace")
    else:
        data = base64.b64encode(chunk.data).decode("ascii")
    stream = "stderr" if chunk.stream == ERR else "stdout"
    return Piece(offset=chunk.offset, stream=stream, data=data)  # type: ignore[arg-type]


def read_output(job: Job, query: OutputQuery) -> JobOutput:
    """The output from an offset on, within a limit."""
    done = job.done.is_set()  # Before the output is read: then that is complete.
    pieces: list[Piece] = []
    at, left, gap = query.offset, query.limit, 0
    while left:
        chunk = job.spool.read(at, left)
        gap += chunk.offset - at
        at = chunk.end
        if not chunk.data:
            break
        pieces.append(piece(chunk, query.encoding))
        left -= len(chunk.data)
    return JobOutput(pieces=pieces, next_offset=at, gap=gap, done=done and at >= job.spool.end)
