"""Every job by id: listing, waiting, signaling, ending."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import Protocol
from weakref import WeakKeyDictionary

import msgspec

from toolbox.errors import BadRequest
from toolbox.errors import ToolboxError
from toolbox_process.engine.ends import Reason
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.job import Job
from toolbox_process.engine.job import Kind
from toolbox_process.engine.job import ProcessJob
from toolbox_process.engine.launcher import TerminalSize
from toolbox_process.engine.output import FlowControl
from toolbox_process.engine.stdin_writer import InputClosed
from toolbox_process.engine.stdin_writer import InputFull
from toolbox_process.engine.waiting import IsDisconnected
from toolbox_process.engine.waiting import never
from toolbox_process.engine.waiting import wait_for
from toolbox_process.errors import AlreadyExists
from toolbox_process.errors import CommandCompleted
from toolbox_process.errors import InputUnavailable
from toolbox_process.jobs.models import StartJobRequest
from toolbox_process.jobs.starting import check_request
from toolbox_process.jobs.starting import start_job


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
        self._requests: dict[str, bytes] = {}
        self._flows: WeakKeyDictionary[ProcessJob, FlowControl] = WeakKeyDictionary()

    def list(self) -> list[Job]:
        return self._engine.jobs()

    def export(self) -> dict[str, bytes]:
        """Return digests of the requests with an id, for the next version of the service."""
        with self._starting:
            return dict(self._requests)

    def restore(self, requests: dict[str, bytes]) -> None:
        """Recognize requests that an earlier version has had."""
        self._requests.update(requests)

    def get(self, job_id: str) -> Job:
        job = self._engine.find(job_id)
        if job is None:
            raise self._engine.not_there("job", job_id)
        return job

    def start(
        self, request: StartJobRequest, wait: float = 0, is_disconnected: IsDisconnected = never
    ) -> tuple[Job, str]:
        # From a dialect it is a struct of its own, with the members that it knows of.
        request = StartJobRequest(**msgspec.structs.asdict(request))
        check_request(request)
        note = "" if request.user else self._engine.note(request.cwd)
        if not wait:
            return self._start(request), note
        # The place first: without one, nothing must have been started.
        with self._engine.waiting.admitted():
            job = self._start(request)
            with job.spool.held():
                wait_for(job.done, wait, is_disconnected)
        return job, note

    def _start(self, request: StartJobRequest) -> Job:
        if request.id is None:
            return start_job(self._engine, request)
        # Instead of the request, whose input may be long.
        digest = hashlib.sha256(msgspec.json.encode(request)).digest()
        # Serialized: the second of two requests with one id must find the job of the first.
        with self._starting:
            if known := self._engine.find(request.id):
                if self._requests.get(request.id) != digest:
                    raise AlreadyExists(
                        f"job already exists: id {request.id!r} is used by a different request"
                    )
                return known
            job = start_job(self._engine, request)
            # As long as their jobs are known, so that these don't grow without limit.
            self._requests = {
                name: earlier for name, earlier in self._requests.items() if self._engine.find(name)
            }
            self._requests[request.id] = digest
            return job

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

    def signal_soon(
        self, job_id: str, number: int, tree: bool, sent: Callable[[ToolboxError | None], object]
    ) -> None:
        def send() -> None:
            failure: ToolboxError | None = None
            try:
                self.signal(job_id, number, tree)
            except ToolboxError as error:
                failure = error
            finally:
                # Not here: telling a client that doesn't read would block this thread.
                self._engine.loop.call_soon(lambda: sent(failure))

        # Looking for everything it has started takes a while.
        self._engine.pool.submit(send)

    def resize(self, job_id: str, rows: int, columns: int) -> None:
        job = self.get(job_id)
        if job.done.is_set():
            raise CommandCompleted(f"job {job_id!r} has ended")
        if not isinstance(job, ProcessJob) or job.child.terminal < 0:
            raise BadRequest(f"job {job_id!r} has no terminal")
        job.resize_terminal(TerminalSize(rows, columns))

    def flow(self, job_id: str) -> FlowControl:
        job = self.get(job_id)
        if not isinstance(job, ProcessJob) or job.kind is not Kind.JOB:
            raise BadRequest("flow: only what was started by POST /x/jobs waits for a client")
        with self._starting:
            if job not in self._flows:
                flow = self._flows[job] = FlowControl(job)
                self._engine.loop.call_soon(lambda: job.reader.listen(flow.pump))
            return self._flows[job]

    def write(self, job_id: str, data: bytes, eof: bool) -> None:
        job = self.get(job_id)
        if job.done.is_set():
            raise CommandCompleted(f"job {job_id!r} has ended")
        # Of a terminal there is no end: the program reads it from the terminal (Ctrl-D).
        on_terminal = isinstance(job, ProcessJob) and job.child.terminal >= 0
        takes = job.kind in (Kind.JOB, Kind.TERMINAL) and not (on_terminal and eof)
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
