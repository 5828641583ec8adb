"""One interpreter context: a Python process that keeps its state, and the code that waits for it.

Requests and outcomes travel on a socket of their own; what the code and its children print is read
from the process's pipes. An outcome is told after all output that was written before it.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections import deque
from datetime import UTC
from datetime import datetime
from functools import partial
from pathlib import Path

import msgspec

from toolbox.decoding import decode_frame
from toolbox.errors import ToolboxError
from toolbox.loop import IN
from toolbox_process.engine import Engine
from toolbox_process.errors import TRY_AGAIN_LATER
from toolbox_process.errors import ProgramMissing
from toolbox_process.interpreter_models import ContextInfo
from toolbox_process.interpreter_run import Failure
from toolbox_process.interpreter_run import Outcome
from toolbox_process.interpreter_run import Run
from toolbox_process.job import Kind
from toolbox_process.job import ProcessJob
from toolbox_process.job import Reason
from toolbox_process.spec import Spec
from toolbox_process.spool import Spool
from toolbox_process.writer import Writer

WORKER = Path(__file__).parent / "sandbox" / "interpreter_worker.py"

INTERRUPT_GRACE = 2.0
"""Seconds between the interrupt and the kill after a timeout."""

AHEAD = 1024 * 1024
"""Bytes of output the code may be ahead of its client before it is made to wait."""

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of one outcome; a worker that sends more is ended."""

ENDING = 1.0
"""Seconds a process that has closed its channel has to end."""

MAX_WAITING = 128
"""Runs that wait for their turn and whose client waits for them."""

MAX_QUEUED = 8 * MAX_WAITING
"""Runs that wait for their turn; those whose client has gone wait on."""

CLOSED = 1001
TIMED_OUT = 4008
NORMAL = 1000
UNAVAILABLE = 1011


class _Answer(msgspec.Struct):
    id: int
    error: Failure | None


class InterpreterContext:
    """See the module. Everything with an underscore runs on the loop."""

    def __init__(self, engine: Engine, context_id: str, cwd: str | None) -> None:
        self.id = context_id
        self._cwd = cwd
        self.created_at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        self.deleted = False
        self._engine = engine
        self._job: ProcessJob | None = None
        self._channel: socket.socket | None = None
        self._writer: Writer | None = None
        self._received = bytearray()
        self._queue: deque[Run] = deque()
        self._current: Run | None = None
        self._number = 0
        self._starting = False

    def info(self) -> ContextInfo:
        """What clients are shown."""
        return ContextInfo(
            id=self.id,
            cwd=str(self._engine.directory(self._cwd)),
            created_at=self.created_at,
            active=not self.deleted,
            language="python",
        )

    def start(self) -> None:
        """Start the process. Raises SpawnFailed, OSError."""
        ours, theirs = socket.socketpair()
        try:
            python = _find_python()
            arguments = [python, "-u", str(WORKER), str(theirs.fileno())]
            spool = Spool(
                256 * 1024,
                self._engine.settings.terminal_buffer,
                self._engine.state.path,
                keep_head=False,
            )
            spec = Spec(
                Kind.INTERPRETER,
                self.id,
                arguments,
                self._cwd,
                split=True,
                pass_fds=(theirs.fileno(),),
            )
            job = self._engine.start(spec, spool)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._engine.loop.call_soon(lambda: self._take(job, ours))

    def warm(self) -> None:
        """Start the process before anybody needs it. If it can't be, whoever does is told so."""
        self._engine.loop.call_soon(self._start_process)

    def submit(self, run: Run) -> None:
        """Run code when its turn has come."""
        self._engine.loop.call_soon(lambda: self._submit(run))

    def abandon(self, run: Run) -> None:
        """The client of a run has gone; the run goes on."""
        run.client = None
        self._engine.loop.call_soon(self._pump)

    def delete(self) -> None:
        """End the process and everything it has started. Blocks until that is so."""
        self.deleted = True
        self._engine.loop.call_soon(self._fail_waiting)
        if self._job is not None:
            self._engine.end(self._job, Reason.CANCELLED)

    # On the loop

    def _take(self, job: ProcessJob, channel: socket.socket) -> None:
        channel.setblocking(False)
        self._job, self._channel = job, channel
        self._writer = Writer(self._engine.loop, channel.fileno(), own=False)
        self._received.clear()
        self._starting = False
        self._engine.loop.add(channel.fileno(), IN, lambda events: self._on_channel(channel))
        job.capture.listen(self._pump)
        job.when_ended(lambda: self._on_ended(job, channel))
        if self.deleted:  # While it started.
            self._engine.end_soon(job, Reason.CANCELLED)
        self._start_next()

    def _submit(self, run: Run) -> None:
        clients = sum(each.client is not None for each in self._queue)
        if clients >= MAX_WAITING or len(self._queue) >= MAX_QUEUED:
            text = f"{MAX_WAITING} runs wait for this context already"
            self._finish(run, Outcome(TRY_AGAIN_LATER, None, text))
            return
        self._queue.append(run)
        self._start_next()

    def _start_next(self) -> None:
        if self._current is not None or not self._queue or self._starting:
            return
        if self.deleted:
            self._fail_waiting()
        elif self._job is None:
            self._start_process()
        else:
            self._begin(self._queue.popleft())

    def _start_process(self) -> None:
        if self._job is None and not self._starting:
            self._starting = True
            self._engine.pool.submit(self._restart)

    def _restart(self) -> None:
        """On the pool: starting a process takes a while."""
        try:
            self.start()
        except (ToolboxError, OSError) as error:
            text = str(error)
            self._engine.loop.call_soon(lambda: self._cannot_start(text))

    def _cannot_start(self, text: str) -> None:
        self._starting = False
        waiting, self._queue = self._queue, deque()
        for run in waiting:
            self._finish(run, Outcome(UNAVAILABLE, None, text))

    def _begin(self, run: Run) -> None:
        assert self._job is not None and self._writer is not None
        self._number += 1
        run.number = self._number
        run.spool = self._job.spool
        if run.client is not None:
            run.client.at = run.spool.end
        self._current = run
        request = {"id": run.number, "code": run.code, "envs": run.envs}
        self._writer.write(msgspec.json.encode(request) + b"\n")
        if run.timeout:
            run.timer = self._engine.loop.call_later(run.timeout, lambda: self._interrupt(run))

    def _interrupt(self, run: Run) -> None:
        if run is not self._current or self._job is None:
            return
        run.timed_out = True
        job = self._job
        job.signal(signal.SIGINT)
        run.timer = self._engine.loop.call_later(INTERRUPT_GRACE, lambda: self._kill(run, job))

    def _kill(self, run: Run, job: ProcessJob) -> None:
        if run is self._current:
            self._engine.end_soon(job, Reason.TIMEOUT, 0.0)

    def _on_channel(self, channel: socket.socket) -> None:
        try:
            data = channel.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data or len(self._received) > MAX_ANSWER:
            self._engine.loop.remove(channel.fileno())
            # A process that ends closes it, too, and then the reason is its own.
            self._engine.loop.call_later(0.0 if data else ENDING, partial(self._give_up, self._job))
            return
        self._received += data
        *lines, rest = self._received.split(b"\n")
        self._received = rest
        for line in lines:
            self._on_answer(bytes(line))

    def _give_up(self, job: ProcessJob | None) -> None:
        """Whatever the code has done to the channel: the process is of no use without."""
        if job is not None and job is self._job and not job.exited:
            self._engine.end_soon(job, Reason.CANCELLED, 0.0)

    def _on_answer(self, line: bytes) -> None:
        run, job = self._current, self._job
        try:
            answer = decode_frame(line, _Answer)
        except msgspec.DecodeError:
            self._give_up(job)
            return
        if run is None or job is None or answer.id != run.number:
            return
        job.capture.read_now()
        self._current = None
        self._finish(run, _time_is_over(run) if run.timed_out else Outcome(NORMAL, answer.error))
        self._start_next()

    def _finish(self, run: Run, outcome: Outcome) -> None:
        if run.timer is not None:
            run.timer.cancel()
        run.end = run.spool.end if run.spool is not None else 0
        run.outcome = outcome
        if run.client is not None:
            run.client.pump()
        self._pump()

    def _on_ended(self, job: ProcessJob, channel: socket.socket) -> None:
        self._engine.loop.remove(channel.fileno())
        if self._writer is not None:
            self._writer.abort()
        channel.close()
        self._job = self._channel = self._writer = None
        run, self._current = self._current, None
        if run is not None:
            self._finish(run, self._outcome_of_death(run, job))
        self._start_next()

    def _outcome_of_death(self, run: Run, job: ProcessJob) -> Outcome:
        if run.timed_out:
            return _time_is_over(run)
        what = (
            "the context was deleted"
            if self.deleted
            else f"it ended with {job.exit_code} ({job.reason})"
        )
        text = f"the interpreter is gone: {what}"
        # First an error: the TypeScript SDK takes the close code 1001 for success.
        failure = Failure("InterpreterExited", text, f"InterpreterExited: {text}\n")
        return Outcome(CLOSED, failure, text)

    def _fail_waiting(self) -> None:
        waiting, self._queue = self._queue, deque()
        for run in waiting:
            text = "the context was deleted"
            failure = Failure("InterpreterExited", text, f"InterpreterExited: {text}\n")
            self._finish(run, Outcome(CLOSED, failure, text))

    def _pump(self) -> None:
        run, job = self._current, self._job
        if job is None or job.exited:
            return
        if run is None or run.client is None:
            job.capture.pause(False)
            return
        run.client.pump()
        job.capture.pause(job.spool.end - run.client.at > AHEAD)


def _time_is_over(run: Run) -> Outcome:
    text = f"request timeout: code execution timeout: still running after {run.timeout} s"
    return Outcome(TIMED_OUT, None, text)


def _find_python() -> str:
    for name in ("python3", "python"):
        if found := shutil.which(name, path=os.environ.get("PATH", os.defpath)):
            return found
    raise ProgramMissing("python3: not installed")
