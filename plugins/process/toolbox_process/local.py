"""The backend ``local``: processes of this machine."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from toolbox.lifecycle import Context
from toolbox.response import Answer
from toolbox.response import StreamAnswer
from toolbox_process.answers import answer_with
from toolbox_process.coderun import run_code
from toolbox_process.engine import Engine
from toolbox_process.errors import SpawnFailed
from toolbox_process.excerpt import Excerpt
from toolbox_process.execute import execute
from toolbox_process.interpreters import LocalInterpreters
from toolbox_process.job import Job
from toolbox_process.job import Reason
from toolbox_process.jobs import LocalJobs
from toolbox_process.models import Artifacts
from toolbox_process.models import CodeRunRequest
from toolbox_process.models import CodeRunResponse
from toolbox_process.models import ExecuteRequest
from toolbox_process.models import ExecuteResponse
from toolbox_process.output import END_REASON
from toolbox_process.output import describe_end
from toolbox_process.output import where_whole
from toolbox_process.sessions import LocalSessions
from toolbox_process.settings import LocalSettings
from toolbox_process.spool import ERR
from toolbox_process.spool import OUT
from toolbox_process.terminals import LocalTerminals
from toolbox_process.waiting import Gone
from toolbox_process.waiting import never

NOT_STARTED = -1
"""The exit code of what could not be started."""

SPAWN_FAILED = {END_REASON: Reason.SPAWN_FAILED.value}


class LocalProcess:
    """See :class:`toolbox_process.backend.ProcessBackend`."""

    def __init__(self, settings: LocalSettings, context: Context) -> None:
        self.max_result: int = context.options.max_result
        self._engine = Engine(settings, context)
        self.sessions = LocalSessions(self._engine)
        self.terminals = LocalTerminals(self._engine)
        self.interpreters = LocalInterpreters(self._engine)
        self.jobs = LocalJobs(self._engine, self.sessions)

    def execute(
        self, request: ExecuteRequest, gone: Gone = never, separate: bool = False
    ) -> Answer | StreamAnswer:
        note = self._engine.note(request.cwd)
        spool = self._engine.new_spool()
        # The job may be forgotten as soon as it has ended, but not before it is answered.
        with spool.held():
            try:
                job = execute(self._engine, request, spool, gone, separate)
            except SpawnFailed as error:
                failure = ExecuteResponse(exit_code=NOT_STARTED, result=error.message)
                return Answer(failure, headers=SPAWN_FAILED)
            return self._answer(ExecuteResponse, job, note, separate)

    def run_code(
        self, request: CodeRunRequest, gone: Gone = never, separate: bool = False
    ) -> Answer | StreamAnswer:
        note = self._engine.note(request.cwd)
        spool = self._engine.new_spool()
        with spool.held():
            try:
                job, charts = run_code(self._engine, request, spool, gone, separate)
            except SpawnFailed as error:
                failure = CodeRunResponse(exit_code=NOT_STARTED, result=error.message)
                return Answer(failure, headers=SPAWN_FAILED)
            artifacts = Artifacts(charts) if charts else UNSET
            return self._answer(CodeRunResponse, job, note, separate, artifacts=artifacts)

    def _answer(
        self,
        kind: type[ExecuteResponse] | type[CodeRunResponse],
        job: Job,
        note: dict[str, str],
        separate: bool,
        **others: Any,
    ) -> Answer | StreamAnswer:
        streams = {"result": None, **({"stdout": OUT, "stderr": ERR} if separate else {})}
        where = where_whole(job.id)
        texts = {
            name: Excerpt(job.spool, stream, self.max_result, where)
            for name, stream in streams.items()
        }
        headers = {**describe_end(job, texts["result"].dropped), **note}
        return answer_with(kind, job.spool, headers, {**texts}, exit_code=job.status, **others)

    def figures(self) -> dict[str, float]:
        """What runs and what is kept, for whoever makes metrics of it."""
        jobs = self._engine.jobs()
        running = sum(not job.done.is_set() for job in jobs)
        return {
            "jobs_running": running,
            "jobs_finished": len(jobs) - running,
            "sessions": len(self.sessions.list()),
            "terminals": len(self.terminals.list()),
        }

    def close(self) -> None:
        """End everything that runs."""
        self._engine.close()
