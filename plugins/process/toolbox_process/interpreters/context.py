"""An interpreter context: a Python process that keeps its state, and the runs that wait for it.

Requests and outcomes travel on a channel; the output of the code and of its children is read from
the process's pipes. A run's outcome is reported after all output that was written before it.
"""

from __future__ import annotations

import signal
import socket
from collections import deque
from datetime import UTC
from datetime import datetime
from functools import partial

import msgspec

from toolbox.errors import ToolboxError
from toolbox.http.decoding import decode_frame
from toolbox_process.engine.ends import Reason
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.job import Kind
from toolbox_process.engine.job import ProcessJob
from toolbox_process.engine.output import FlowControl
from toolbox_process.engine.output import Follower
from toolbox_process.engine.spec import Spec
from toolbox_process.engine.spool import Spool
from toolbox_process.interpreters.channel import Channel
from toolbox_process.interpreters.models import ContextInfo
from toolbox_process.interpreters.program import WORKER
from toolbox_process.interpreters.program import find_python
from toolbox_process.interpreters.run import Ending
from toolbox_process.interpreters.run import Failure
from toolbox_process.interpreters.run import Outcome
from toolbox_process.interpreters.run import Run

INTERRUPT_GRACE = 2.0
"""Seconds between the interrupt and the kill after a timeout."""

ENDING = 1.0
"""Seconds for a process to exit after it has closed its channel."""

MAX_WAITING = 128
"""Maximum runs in the queue whose clients are connected."""

MAX_QUEUED = 8 * MAX_WAITING
"""Maximum runs in the queue; a run stays there when its client disconnects."""


class _Result(msgspec.Struct):
    id: int
    error: Failure | None


class InterpreterContext:
    """A context, with its process while it has one.

    Public methods may be called from any thread, those with an underscore run on the loop.
    """

    def __init__(self, engine: Engine, context_id: str, cwd: str | None) -> None:
        self.id = context_id
        self._cwd = cwd
        self.created_at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        self.deleted = False
        self._engine = engine
        self._job: ProcessJob | None = None
        self._channel: Channel | None = None
        self._flow: FlowControl | None = None
        self._queue: deque[Run] = deque()
        self._current: Run | None = None
        self._number = 0
        self._starting = False

    def info(self) -> ContextInfo:
        """Return the context as clients are shown it."""
        return ContextInfo(
            id=self.id,
            cwd=str(self._engine.directory(self._cwd)),
            created_at=self.created_at,
            active=not self.deleted,
            language="python",
        )

    def is_busy(self) -> bool:
        """Report whether code runs in it, or waits for its turn."""
        return self._current is not None or bool(self._queue)

    def start(self) -> None:
        """Start the process. Raises SpawnFailed, OSError."""
        ours, theirs = socket.socketpair()
        try:
            arguments = [find_python(), "-u", str(WORKER), str(theirs.fileno())]
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
            # Only the process holds its end now, so its exit closes the channel.
            theirs.close()
        self._engine.loop.call_soon(lambda: self._take(job, ours))

    def warm(self) -> None:
        """Start the process before anyone needs it; a failure is reported to the first run."""
        self._engine.loop.call_soon(self._start_process)

    def submit(self, run: Run) -> None:
        """Run code when its turn has come."""
        self._engine.loop.call_soon(lambda: self._submit(run))

    def abandon(self, run: Run) -> None:
        client, run.client = run.client, None
        if client is not None:
            self._engine.loop.call_soon(lambda: self._unfollow(client))

    def delete(self) -> None:
        """End the process and everything it has started. Blocks."""
        self.deleted = True
        # First the queue: none of its runs may start another process.
        self._engine.loop.call_soon(self._fail_waiting)
        if self._job is not None:
            self._engine.end(self._job, Reason.CANCELLED)

    # On the loop

    def _take(self, job: ProcessJob, ours: socket.socket) -> None:
        on_broken = partial(self._on_broken, job)
        self._channel = channel = Channel(self._engine.loop, ours, self._on_result, on_broken)
        self._job = job
        self._flow = FlowControl(job)
        self._starting = False
        job.reader.listen(self._flow.pump)
        job.when_ended(lambda: self._on_ended(job, channel))
        if self.deleted:  # The context was deleted while the process started.
            self._engine.end_soon(job, Reason.CANCELLED)
        self._start_next()

    def _unfollow(self, client: Follower) -> None:
        if self._flow is not None:
            self._flow.remove(client)

    def _submit(self, run: Run) -> None:
        # Abandoned runs count separately: a client that reconnects must not lock itself out.
        clients = sum(waiting.client is not None for waiting in self._queue)
        if clients >= MAX_WAITING or len(self._queue) >= MAX_QUEUED:
            text = f"too many runs wait for this context (limit {MAX_WAITING})"
            self._finish(run, Outcome(Ending.TOO_MANY_WAITING, None, text))
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
        """Start the process. On the pool: it takes a while."""
        try:
            self.start()
        except (ToolboxError, OSError) as error:
            text = str(error)
            self._engine.loop.call_soon(lambda: self._cannot_start(text))

    def _cannot_start(self, text: str) -> None:
        self._starting = False
        waiting, self._queue = self._queue, deque()
        for run in waiting:
            self._finish(run, Outcome(Ending.NOT_STARTED, None, text))

    def _begin(self, run: Run) -> None:
        assert self._job is not None and self._channel is not None and self._flow is not None
        self._number += 1
        run.number = self._number
        run.spool = self._job.spool
        run.flow = self._flow
        self._current = run
        if run.client is not None:
            # The spool holds the output of earlier runs, too; the client's begins here.
            run.client.offset = run.spool.end
            self._flow.add(run.client)
        request = {"id": run.number, "code": run.code, "envs": run.envs}
        self._channel.send(msgspec.json.encode(request))
        if run.timeout:
            run.timer = self._engine.loop.call_later(run.timeout, lambda: self._interrupt(run))

    def _interrupt(self, run: Run) -> None:
        if run is not self._current or self._job is None:
            return
        run.timed_out = True
        job = self._job
        # KeyboardInterrupt keeps the namespace; the kill comes for code that ignores it.
        job.signal(signal.SIGINT)
        run.timer = self._engine.loop.call_later(INTERRUPT_GRACE, lambda: self._kill(run, job))

    def _kill(self, run: Run, job: ProcessJob) -> None:
        if run is self._current:
            self._engine.end_soon(job, Reason.TIMEOUT, 0.0)

    def _on_broken(self, job: ProcessJob, closed: bool) -> None:
        # A process that ends closes its end, too; wait, so that its own exit is the reason.
        self._engine.loop.call_later(ENDING if closed else 0.0, lambda: self._give_up(job))

    def _give_up(self, job: ProcessJob | None) -> None:
        """End a process whose channel the code has broken: nothing more can be run in it."""
        if job is not None and job is self._job and not job.exited:
            self._engine.end_soon(job, Reason.CANCELLED, 0.0)

    def _on_result(self, line: bytes) -> None:
        run, job = self._current, self._job
        try:
            result = decode_frame(line, _Result)
        except msgspec.DecodeError:
            self._give_up(job)
            return
        # The code can write to the channel, too: what fits no run is ignored.
        if run is None or job is None or result.id != run.number:
            return
        # The output was written before the result, but on other descriptors.
        job.reader.read_now()
        self._current = None
        completed = Outcome(Ending.COMPLETED, result.error)
        self._finish(run, _time_is_over(run) if run.timed_out else completed)
        self._start_next()

    def _finish(self, run: Run, outcome: Outcome) -> None:
        if run.timer is not None:
            run.timer.cancel()
        run.end = run.spool.end if run.spool is not None else 0
        run.outcome = outcome
        self._engine.note_end()
        if run.client is not None:
            run.client.pump()
            # The next run doesn't wait for this client: the spool keeps what it has yet to be sent.
            self._unfollow(run.client)

    def _on_ended(self, job: ProcessJob, channel: Channel) -> None:
        channel.close()
        self._job = self._channel = self._flow = None
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
            else f"exit code {job.exit_code} ({job.reason})"
        )
        text = f"the interpreter has exited: {what}"
        # With an error: the TypeScript SDK takes the close code 1001 alone for success.
        failure = Failure("InterpreterExited", text, f"InterpreterExited: {text}\n")
        return Outcome(Ending.INTERPRETER_EXITED, failure, text)

    def _fail_waiting(self) -> None:
        waiting, self._queue = self._queue, deque()
        for run in waiting:
            text = "the context was deleted"
            failure = Failure("InterpreterExited", text, f"InterpreterExited: {text}\n")
            self._finish(run, Outcome(Ending.INTERPRETER_EXITED, failure, text))


def _time_is_over(run: Run) -> Outcome:
    text = f"request timeout: code execution timeout: still running after {run.timeout} s"
    return Outcome(Ending.TIMED_OUT, None, text)
