"""The operations of jobs, beyond what the Daytona Toolbox API knows."""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.errors import InvalidBody
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.response import Answer
from toolbox_process.backend import ProcessBackend
from toolbox_process.errors import AlreadyExists
from toolbox_process.errors import CommandCompleted
from toolbox_process.errors import InputUnavailable
from toolbox_process.errors import ProcessNotFound
from toolbox_process.errors import SpawnFailed
from toolbox_process.job_follower import JobFollower
from toolbox_process.job_models import JobInfo
from toolbox_process.job_models import JobList
from toolbox_process.job_models import JobOutput
from toolbox_process.job_models import OutputQuery
from toolbox_process.job_models import SignalRequest
from toolbox_process.job_models import StartJobRequest
from toolbox_process.job_models import StdinQuery
from toolbox_process.job_models import WaitQuery
from toolbox_process.jobs import describe
from toolbox_process.jobs import read_output
from toolbox_process.routes import group

MAX_STDIN = 4 * 1024 * 1024


@group.get("/x/jobs")
def list_jobs(backend: ProcessBackend) -> JobList:
    """List everything that runs, and what has run lately: commands, sessions, terminals, all."""
    return JobList(jobs=[describe(job) for job in backend.jobs.list()])


@group.post(
    "/x/jobs",
    status=201,
    answers=JobInfo,
    errors=(BadRequest, InvalidBody, AlreadyExists, SpawnFailed),
)
def start_job(backend: ProcessBackend, body: StartJobRequest) -> Answer:
    """Start a command and don't wait for it.

    It belongs to no session, so nothing but the end of the service ends it. The same request under
    the same ``id`` again answers the same job.
    """
    job, note = backend.jobs.start(body)
    return Answer(describe(job), headers=note)


@group.get("/x/jobs/{job_id}", errors=(ProcessNotFound,))
def get_job(backend: ProcessBackend, job_id: str) -> JobInfo:
    """Show a job and, when it has come, its end."""
    return describe(backend.jobs.get(job_id))


@group.get("/x/jobs/{job_id}/output", errors=(BadRequest, ProcessNotFound))
def get_job_output(backend: ProcessBackend, job_id: str, query: OutputQuery) -> JobOutput:
    """Read a job's output from an offset on."""
    return read_output(backend.jobs.get(job_id), query)


@group.websocket("/x/jobs/{job_id}/output", errors=(BadRequest, ProcessNotFound))
def follow_job_output(backend: ProcessBackend, job_id: str, query: OutputQuery) -> JobFollower:
    """Follow a job's output from an offset on: JSON texts, each a Piece, and last the JobInfo."""
    return JobFollower(backend.jobs.get(job_id), query)


@group.get("/x/jobs/{job_id}/wait", errors=(BadRequest, ProcessNotFound))
def wait_for_job(
    backend: ProcessBackend, job_id: str, query: WaitQuery, request: RequestInfo
) -> JobInfo:
    """Wait for a job's end; ``done`` tells whether it has come."""
    return describe(backend.jobs.wait(job_id, query.timeout, request.client_gone))


@group.post(
    "/x/jobs/{job_id}/signal",
    status=204,
    errors=(BadRequest, InvalidBody, ProcessNotFound, CommandCompleted),
)
def signal_job(backend: ProcessBackend, job_id: str, body: SignalRequest) -> None:
    """Send a signal to a job."""
    backend.jobs.signal(job_id, body.number(), body.tree)


@group.post(
    "/x/jobs/{job_id}/stdin",
    status=204,
    errors=(BadRequest, ProcessNotFound, CommandCompleted, InputUnavailable),
)
def write_job_stdin(backend: ProcessBackend, job_id: str, query: StdinQuery, body: Body) -> None:
    """Write the body, as it is, to the standard input of a job that was started with ``stdin``."""
    backend.jobs.write(job_id, body.read_all(MAX_STDIN), query.eof)


@group.delete("/x/jobs/{job_id}", errors=(ProcessNotFound,))
def end_job(backend: ProcessBackend, job_id: str) -> JobInfo:
    """End a job and everything it has started."""
    return describe(backend.jobs.end(job_id))
