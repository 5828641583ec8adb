"""One run of a service: its program, and whether that is ready."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Protocol

from toolbox.identifiers import new_id
from toolbox.linux.clock import awake
from toolbox.sockets.loop import Timer
from toolbox_process.definition import Definition
from toolbox_process.definition import Ready
from toolbox_process.engine.ends import Reason
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.job import Kind
from toolbox_process.engine.job import ProcessJob
from toolbox_process.engine.shells import command_line
from toolbox_process.engine.spec import PIPE
from toolbox_process.engine.spec import Spec
from toolbox_process.engine.spool import Spool
from toolbox_process.matching.on_loop import LoopMatcher
from toolbox_process.services.log_probe import LogProbe
from toolbox_process.services.probes import ServerProbe
from toolbox_process.services.section import Section

SETTLED = 1.0
"""Seconds after which a service without ``ready`` counts as ready, if it is still there."""


class Probe(Protocol):
    """Looks for the sign that a program is ready. Used on the loop."""

    complaint: str
    """The obstacle to finding the sign, empty for none."""

    def begin(self) -> None:
        """Look for the first time."""

    def output(self) -> None:
        """Look at new output."""

    def close(self) -> None:
        """Look no more."""


class Events(Protocol):
    """The service of a run. Called on the loop."""

    def on_ready(self, run: Run) -> None:
        """Note that the program is ready."""

    def on_output(self) -> None:
        """Pass on that there is output."""

    def on_end(self, run: Run) -> None:
        """Note that the program has ended, and its output is complete."""


class Run:
    """A program that runs since ``seconds``, and what it writes.

    ``ending`` is set by whoever ends it, and ``late`` if it was not ready in time.
    """

    def __init__(
        self,
        engine: Engine,
        matcher: LoopMatcher,
        definition: Definition,
        job: ProcessJob,
        output: Section,
        seconds: float = 0.0,
    ) -> None:
        self.job = job
        self.ending = False
        self.late = False
        self._began = awake() - seconds
        self._engine = engine
        self._matcher = matcher
        self._definition = definition
        self._output = output
        self._probe: Probe | None = None
        self._complaint = ""
        self._timer: Timer | None = None

    @classmethod
    def start(
        cls, engine: Engine, matcher: LoopMatcher, name: str, definition: Definition, spool: Spool
    ) -> Run:
        """Start the program. Raises SpawnFailed, ProgramMissing, OSError."""
        output = Section(spool)
        return cls(engine, matcher, definition, _start(engine, name, definition, output), output)

    @property
    def offset(self) -> int:
        """The offset at which its output begins in that of all runs."""
        return self._output.before.output

    @property
    def complaint(self) -> str:
        """The obstacle to finding its sign of readiness, empty for none."""
        return self._probe.complaint if self._probe is not None else self._complaint

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return awake() - self._began

    def watch(self, service: Events, is_ready: bool = False) -> None:
        """Tell the service about it from now on. On the loop, once."""
        self.job.reader.listen(partial(self._on_output, service.on_output))
        self.job.when_ended(partial(self._on_end, service))
        # It may have ended before the loop came to this.
        if is_ready or self.job.done.is_set():
            return
        ready = self._definition.ready
        passed = partial(self._on_ready, service)
        # Not at once: a program that can't run at all needs a moment to find out.
        if ready is None:
            self._timer = self._engine.loop.call_later(max(0.0, SETTLED - self.seconds), passed)
            return
        left = max(0.0, ready.timeout - self.seconds)
        self._timer = self._engine.loop.call_later(left, self._on_timeout)
        self._probe = self._new_probe(ready, passed)
        self._probe.begin()

    def _new_probe(self, ready: Ready, passed: Callable[[], object]) -> Probe:
        loop = self._engine.loop
        if ready.log is not None:
            return LogProbe(loop, self._matcher, self._output.whole, self.offset, ready.log, passed)
        return ServerProbe(loop, ready.target(), ready.status, passed)

    def _on_output(self, tell: Callable[[], object]) -> None:
        if self._probe is not None:
            self._probe.output()
        tell()

    def _on_ready(self, service: Events) -> None:
        self.look_no_more()
        service.on_ready(self)

    def _on_timeout(self) -> None:
        self.look_no_more()
        self.late = True
        self._engine.end_soon(self.job, Reason.TIMEOUT, self._definition.grace)

    def _on_end(self, service: Events) -> None:
        self._output.complete()
        self.look_no_more()
        service.on_end(self)

    def look_no_more(self) -> None:
        """Forget whether it is ready. On the loop."""
        if self._timer is not None:
            self._timer.cancel()
        probe, self._probe = self._probe, None
        if probe is not None:
            self._complaint = probe.complaint
            probe.close()


def _start(engine: Engine, name: str, definition: Definition, output: Section) -> ProcessJob:
    script = None
    arguments = definition.argv or []
    if definition.command is not None:
        shell = engine.shell()
        arguments, script = command_line(shell, definition.command, engine.state.path)
    try:
        return engine.start(
            Spec(
                Kind.SERVICE,
                label(definition),
                arguments,
                definition.cwd,
                {variable: value or "" for variable, value in definition.envs.items()},
                # Never written to, but open: some servers for developers end with their input.
                stdin=PIPE,
                split=True,
                pass_fds=() if script is None else (script,),
                # Never the same again: by it the processes of a run are found.
                job_id=f"{name}.{new_id()}",
            ),
            output,
        )
    finally:
        if script is not None:
            os.close(script)


def label(definition: Definition) -> str:
    """Return the command of a definition in one line."""
    return definition.command or " ".join(definition.argv or ())
