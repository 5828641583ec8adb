"""Commands and code as processes of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from toolbox_process.commands.code_run import run_code
from toolbox_process.commands.execute import execute
from toolbox_process.commands.models import CodeRunRequest
from toolbox_process.commands.models import ExecuteRequest
from toolbox_process.commands.protocol import Finished
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.output import Output
from toolbox_process.engine.output import Text
from toolbox_process.engine.output import collect
from toolbox_process.engine.waiting import IsDisconnected
from toolbox_process.engine.waiting import never


class LocalCommands:
    """See :class:`toolbox_process.commands.protocol.Commands`."""

    def __init__(self, engine: Engine, max_result: int) -> None:
        self._engine = engine
        self._max_result = max_result

    @contextmanager
    def execute(
        self,
        request: ExecuteRequest,
        is_disconnected: IsDisconnected = never,
        separate: bool = False,
    ) -> Iterator[Finished]:
        note = self._engine.note(request.cwd)
        spool = self._engine.new_spool()
        # The engine may forget a job as soon as it has ended; its output is still to be sent.
        with spool.held():
            job = execute(self._engine, request, spool, is_disconnected, separate)
            yield Finished(job, note, [])

    @contextmanager
    def run_code(
        self,
        request: CodeRunRequest,
        is_disconnected: IsDisconnected = never,
        separate: bool = False,
    ) -> Iterator[Finished]:
        note = self._engine.note(request.cwd)
        spool = self._engine.new_spool()
        with spool.held():
            job, charts = run_code(self._engine, request, spool, is_disconnected, separate)
            yield Finished(job, note, charts)

    def text(self, job: Output, stream: int | None) -> Text:
        return collect(job.spool, stream, self._max_result)
