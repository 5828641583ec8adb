"""A service: a program that is kept running."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from toolbox.errors import ToolboxError
from toolbox.errors import describe_os_error
from toolbox.linux.clock import awake
from toolbox.sockets.loop import Timer
from toolbox_process.definition import Definition
from toolbox_process.engine.end_event import EndEvent
from toolbox_process.engine.ends import Reason
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.job import ProcessJob
from toolbox_process.engine.spool import Spool
from toolbox_process.errors import NotEnded
from toolbox_process.matching.on_loop import LoopMatcher
from toolbox_process.services.models import ServiceInfo
from toolbox_process.services.models import State
from toolbox_process.services.restarting import BACKGROUND
from toolbox_process.services.restarting import NOT_READY
from toolbox_process.services.restarting import STOPPED
from toolbox_process.services.restarting import Delays
from toolbox_process.services.restarting import End
from toolbox_process.services.restarting import starts_again
from toolbox_process.services.run import Run
from toolbox_process.services.standing import Standing
from toolbox_process.services.status import Status

IN_MEMORY = 32
"""A log's limit is so many times what stays in memory; the rest is on disk."""

log = logging.getLogger("toolbox")


class LocalService:
    """See :class:`toolbox_process.services.protocol.Service`. *Any thread.*

    Whoever starts, stops or changes it holds ``turn``, and may block meanwhile; the loop never
    takes it. The state changes under a lock of its own, which nobody holds for long.
    """

    def __init__(
        self,
        engine: Engine,
        matcher: LoopMatcher,
        name: str,
        definition: Definition,
        declared: bool,
    ) -> None:
        self.id = name
        self.loop = engine.loop
        self.definition = definition
        self.declared = declared
        self.turn = threading.RLock()
        self.removed = False
        self.closed = False
        self.stopped = False
        """True if it is not to run after the service's own restart."""
        self.done = EndEvent()
        self.spool = self._new_spool(engine, definition)
        self.status = Status(engine.loop, engine.settings.max_followers)
        self.follow = self.status.follow
        self.unfollow = self.status.unfollow
        self._engine = engine
        self._matcher = matcher
        self._run: Run | None = None
        self._last: Run | None = None
        self._restarts = 0
        self._delays = Delays()
        self._again: Timer | None = None
        self._due = 0.0
        self._token = object()

    @staticmethod
    def _new_spool(engine: Engine, definition: Definition) -> Spool:
        limit = definition.logs.limit
        memory = min(engine.settings.output_memory, limit // IN_MEMORY)
        return Spool(memory, limit, engine.state.path, keep_head=False)

    # As its clients see it

    @property
    def version(self) -> int:
        return self.status.version

    @property
    def running(self) -> bool:
        """True while its program runs."""
        return self._run is not None

    @property
    def job(self) -> ProcessJob | None:
        """The present or last run, None if there was none."""
        return self._last.job if self._last else None

    exit_code: int | None = None
    reason: Reason | None = None

    def info(self) -> ServiceInfo:
        status = self.status
        with status.changed:
            run, last, end = self._run, self._last, status.end
            return ServiceInfo(
                name=self.id,
                state=status.state,
                since=status.since.isoformat(),
                declared=self.declared,
                definition=self.definition,
                restarts=self._restarts,
                log_start=self.spool.start,
                log_end=self.spool.end,
                run_start=last.offset if last else 0,
                pid=run.job.pid if run else None,
                job_id=run.job.id if run else None,
                started_at=last.job.started.isoformat() if last else None,
                exit_code=end.exit_code,
                reason=end.reason or None,
                message=(run and run.complaint) or end.message or None,
            )

    # With the turn

    def start(self) -> None:
        """Start it, unless it runs."""
        with self.turn:
            if self._run is None and not self._is_over:
                self._delays.reset()
                self._restarts = 0
                self.status.end = End(None, "")
                self._launch()

    def stop(self) -> None:
        """End it and everything it has started. Raises NotEnded."""
        with self.turn:
            self._cancel_restart()
            run = self._run
            if run is not None:
                # First, or its end would look like one that asks for a restart.
                run.ending = True
                try:
                    self._engine.end(run.job, Reason.CANCELLED, self.definition.grace)
                except NotEnded:
                    run.ending = False
                    raise
                self._become("stopped", End(run.job.exit_code, STOPPED))
            elif self.status.state != "stopped":
                self._become("stopped", self.status.end._replace(reason=STOPPED))

    def replace(self, definition: Definition) -> None:
        """Run another definition. Raises NotEnded, and then nothing has changed."""
        with self.turn:
            # The old definition says how long its end may take.
            self.stop()
            self.definition = definition
            self.spool.rebound(definition.logs.limit)
            self.start()

    def remove(self) -> None:
        """Stop it for good. Raises NotEnded."""
        with self.turn:
            self.stop()
            self.removed = True
            self.done.set()
            self.spool.discard()
            self.loop.call_soon(self.on_output)

    def close(self) -> None:
        """Start it no more: the engine ends what runs."""
        self.closed = True
        self._cancel_restart()

    @property
    def _is_over(self) -> bool:
        return self.removed or self.closed

    def _cancel_restart(self) -> None:
        timer, self._again = self._again, None
        self._token = object()
        if timer is not None:
            timer.cancel()

    def _launch(self) -> None:
        self._cancel_restart()
        try:
            run = Run.start(self._engine, self._matcher, self.id, self.definition, self.spool)
        except (ToolboxError, OSError) as error:
            text = describe_os_error(error) if isinstance(error, OSError) else error.message
            self._after(End(None, Reason.SPAWN_FAILED.value, text), 0.0)
            return
        with self.status.changed:
            self._last = run
            self._become("starting", self.status.end, run)
        self.loop.call_soon(partial(run.watch, self))

    def _after(self, end: End, seconds: float) -> None:
        """Do what the definition says about an end."""
        if self._is_over:
            return
        if not starts_again(self.definition, end):
            self._become("failed" if end.is_failure else "stopped", end)
            return
        self._become("backoff", end)
        self._start_later(self._delays.next(self.definition, seconds))

    def _start_later(self, delay: float) -> None:
        self._due = awake() + delay
        # What the timer submits may come when it has been canceled: then its token is an old one.
        token = self._token = object()
        restart = partial(self._restart, token)
        self._again = self.loop.call_later(delay, lambda: self._submit(restart))

    def _restart(self, token: object) -> None:
        with self.turn:
            if self._token is token and self._run is None and not self._is_over:
                self._restarts += 1
                self._launch()

    def _clean_up(self, run: Run) -> None:
        """End what the program has left, and decide how to go on. On the pool."""
        with self.turn:
            if self._run is not run:
                return  # It was stopped meanwhile.
            job = run.job
            end = End(job.exit_code, job.reason.value if job.reason else "")
            try:
                # With what it leaves it would hold its port or its files against the next run.
                if self._engine.surely(job.child.left):
                    self._engine.end(job, Reason.CANCELLED, self.definition.grace)
                    if end.exit_code == 0 and not run.late:
                        text = "it put itself in the background; run it in the foreground"
                        end = End(0, BACKGROUND, text)
            except NotEnded as error:
                log.error("service %s: %s", self.id, error.message)
                self._become("failed", End(job.exit_code, end.reason, error.message))
                return
            if run.late and self.definition.ready:
                text = f"not ready after {self.definition.ready.timeout:g} seconds"
                text += f"; {run.complaint}" if run.complaint else ""
                end = End(job.exit_code, NOT_READY, text)
            self._after(end, run.seconds)

    def _become(self, state: State, end: End, run: Run | None = None) -> None:
        with self.status.changed:
            if self._run is not None and run is None and self.definition.keepalive:
                self._engine.note_end()  # The sandbox has been idle since now, not before.
            self._run = run
            self.status.become(state, end)

    # On the loop

    def let_go(self) -> Standing:
        """Do nothing more about it, and return where it stands. With the turn."""
        run, last, status = self._run, self._last, self.status
        self.close()
        self._run = None  # What still waits for the turn finds nothing to do.
        if last is not None:
            last.look_no_more()
        failures, pause = self._delays.failures, max(0.0, self._due - awake())
        running = run is not None
        return Standing(
            status.state, status.since, status.end, self._restarts, failures, pause, last, running
        )

    def resume(self, standing: Standing) -> None:
        """Go on from there. Once, before anybody else knows it."""
        status, last = self.status, standing.last
        status.state, status.since, status.end = standing.state, standing.since, standing.end
        self._restarts = standing.restarts
        self._delays = Delays(standing.failures)
        self._last = last
        if standing.running and last is not None:
            self._run = last
            last.watch(self, is_ready=standing.state == "ready")
        elif standing.state == "backoff":
            self._start_later(standing.pause)

    def on_output(self) -> None:
        """See :class:`toolbox_process.services.run.Events`."""
        self.status.notify()

    def on_ready(self, run: Run) -> None:
        """See :class:`toolbox_process.services.run.Events`."""
        with self.status.changed:
            if self._run is run and not run.job.exited:
                self._become("ready", self.status.end, run)

    def on_end(self, run: Run) -> None:
        """See :class:`toolbox_process.services.run.Events`."""
        if not run.ending:
            self._submit(partial(self._clean_up, run))

    def _submit(self, work: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # The service stops.
            self._engine.pool.submit(work)
