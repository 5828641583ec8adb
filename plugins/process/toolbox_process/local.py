"""The backend ``local``: processes of this machine."""

from __future__ import annotations

from msgspec import UNSET

from toolbox.lifecycle import Context
from toolbox.response import Answer
from toolbox_process.coderun import run_code
from toolbox_process.engine import Engine
from toolbox_process.errors import SpawnFailed
from toolbox_process.execute import execute
from toolbox_process.interpreters import LocalInterpreters
from toolbox_process.job import Reason
from toolbox_process.jobs import LocalJobs
from toolbox_process.models import Artifacts
from toolbox_process.models import CodeRunRequest
from toolbox_process.models import CodeRunResponse
from toolbox_process.models import ExecuteRequest
from toolbox_process.models import ExecuteResponse
from toolbox_process.output import END_REASON
from toolbox_process.output import collect
from toolbox_process.output import describe_end
from toolbox_process.sessions import LocalSessions
from toolbox_process.settings import LocalSettings
from toolbox_process.terminals import LocalTerminals

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

    def execute(self, request: ExecuteRequest) -> Answer:
        spool = self._engine.new_spool()
        # The job may be forgotten as soon as it has ended, but not before it is answered.
        with spool.held():
            try:
                job = execute(self._engine, request, spool)
            except SpawnFailed as error:
                failure = ExecuteResponse(exit_code=NOT_STARTED, result=error.message)
                return Answer(failure, headers=SPAWN_FAILED)
            text, dropped = collect(spool, None, self.max_result)
        answer = ExecuteResponse(exit_code=job.status, result=text)
        return Answer(answer, headers=describe_end(job, dropped))

    def run_code(self, request: CodeRunRequest) -> Answer:
        spool = self._engine.new_spool()
        with spool.held():
            try:
                job, charts = run_code(self._engine, request, spool)
            except SpawnFailed as error:
                failure = CodeRunResponse(exit_code=NOT_STARTED, result=error.message)
                return Answer(failure, headers=SPAWN_FAILED)
            text, dropped = collect(spool, None, self.max_result)
        artifacts = Artifacts(charts) if charts else UNSET
        answer = CodeRunResponse(exit_code=job.status, result=text, artifacts=artifacts)
        return Answer(answer, headers=describe_end(job, dropped))

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
