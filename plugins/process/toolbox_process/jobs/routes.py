"""The operations of jobs, an extension of the Daytona Toolbox API."""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.errors import InsufficientStorage
from toolbox.errors import InvalidBody
from toolbox.group import Operations
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.response import JsonResponse
from toolbox_process.errors import AlreadyExists
from toolbox_process.errors import CommandCompleted
from toolbox_process.errors import InputUnavailable
from toolbox_process.errors import ProcessNotFound
from toolbox_process.errors import SpawnFailed
from toolbox_process.errors import TooManyWaiting
from toolbox_process.jobs.models import JobInfo
from toolbox_process.jobs.models import JobList
from toolbox_process.jobs.models import JobOutput
from toolbox_process.jobs.models import OutputQuery
from toolbox_process.jobs.models import PreviewQuery
from toolbox_process.jobs.models import SignalRequest
from toolbox_process.jobs.models import StartJobRequest
from toolbox_process.jobs.models import StartQuery
from toolbox_process.jobs.models import StdinQuery
from toolbox_process.jobs.models import StreamQuery
from toolbox_process.jobs.models import WaitQuery
from toolbox_process.jobs.protocol import HasJobs
from toolbox_process.jobs.responses import job_info
from toolbox_process.jobs.responses import read_output
from toolbox_process.jobs.socket import JobFollower
from toolbox_process.jobs.stream import JobStream
from toolbox_process.wire.headers import note_headers
from toolbox_process.wire.preview import parse_preview

operations = Operations()

MAX_STDIN = 4 * 1024 * 1024

MAX_REQUEST = 16 * 1024 * 1024
"""Bytes of a request to start a job: its input is in there."""


@operations.get("/x/jobs")
def list_jobs(backend: HasJobs) -> JobList:
    """List what runs or has run lately: commands, sessions, terminals and interpreters."""
    return JobList(jobs=[job_info(job) for job in backend.jobs.list()])


@operations.post(
    "/x/jobs",
    status=201,
    returns=JobInfo,
    max_body=MAX_REQUEST,
    errors=(
        BadRequest,
        InvalidBody,
        AlreadyExists,
        SpawnFailed,
        TooManyWaiting,
        InsufficientStorage,
    ),
)
def start_job(
    backend: HasJobs, body: StartJobRequest, query: StartQuery, request: RequestInfo
) -> JsonResponse:
    """Start a program, and wait for its end for as long as the client wants.

    It belongs to no session, so it runs until it ends, is ended, or the service stops. The same
    request with the same ``id`` returns the same job.
    """
    parse_preview(query.preview or "")  # Before anything is started.
    job, note = backend.jobs.start(body, query.wait, request.is_disconnected)
    return JsonResponse(job_info(job, query), headers=note_headers(note))


@operations.get("/x/jobs/{job_id}", errors=(BadRequest, ProcessNotFound))
def get_job(backend: HasJobs, job_id: str, query: PreviewQuery) -> JobInfo:
    """Show a job, with both ends of its output if a preview is asked for."""
    return job_info(backend.jobs.get(job_id), query)


@operations.get("/x/jobs/{job_id}/output", errors=(BadRequest, ProcessNotFound))
def get_job_output(backend: HasJobs, job_id: str, query: OutputQuery) -> JobOutput:
    """Read a job's output from an offset on."""
    return read_output(backend.jobs.get(job_id), query)


@operations.websocket("/x/jobs/{job_id}/output", errors=(BadRequest, ProcessNotFound))
def follow_job_output(backend: HasJobs, job_id: str, query: OutputQuery) -> JobFollower:
    """Follow a job's output from an offset on: JSON texts, each a Piece, the last a JobInfo."""
    return JobFollower(backend.jobs.get(job_id), query)


@operations.websocket("/x/jobs/{job_id}/stream", errors=(BadRequest, ProcessNotFound))
def stream_job(backend: HasJobs, job_id: str, query: StreamQuery) -> JobStream:
    """Connect to a job's input and output, both ways.

    Binary messages are a channel, one byte, and bytes: 0 is standard input, 1 standard output, 2
    standard error. Texts are JSON with a ``type``; from the client ``eof``, ``signal`` (``signal``,
    ``tree``) and ``resize`` (``rows``, ``cols``); to the client ``open`` (``job``, ``offset``,
    ``stdinOffset``), ``gap`` (``offset``, ``bytes``), ``error`` (``code``, ``message``) and at last
    ``exit`` (``job``).
    """
    return JobStream(backend.jobs, backend.jobs.get(job_id), query)


@operations.get("/x/jobs/{job_id}/wait", errors=(BadRequest, ProcessNotFound, TooManyWaiting))
def wait_for_job(backend: HasJobs, job_id: str, query: WaitQuery, request: RequestInfo) -> JobInfo:
    """Wait for a job's end; ``done`` reports whether it has ended."""
    job = backend.jobs.wait(job_id, query.timeout, request.is_disconnected)
    return job_info(job, query)


@operations.post(
    "/x/jobs/{job_id}/signal",
    status=204,
    errors=(BadRequest, InvalidBody, ProcessNotFound, CommandCompleted),
)
def signal_job(backend: HasJobs, job_id: str, body: SignalRequest) -> None:
    """Send a signal to a job."""
    backend.jobs.signal(job_id, body.number(), body.tree)


@operations.post(
    "/x/jobs/{job_id}/stdin",
    status=204,
    errors=(BadRequest, ProcessNotFound, CommandCompleted, InputUnavailable),
)
def write_job_stdin(backend: HasJobs, job_id: str, query: StdinQuery, body: Body) -> None:
    """Write the body unchanged to the standard input of a job that was started with ``stdin``."""
    backend.jobs.write(job_id, body.read_all(MAX_STDIN), query.eof)


@operations.delete("/x/jobs/{job_id}", errors=(ProcessNotFound,))
def end_job(backend: HasJobs, job_id: str) -> JobInfo:
    """End a job and everything it has started."""
    return job_info(backend.jobs.end(job_id))
