"""Jobs and their output as clients are shown them."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime

from msgspec import UNSET
from msgspec import UnsetType

from toolbox_process.engine.job import Job
from toolbox_process.engine.job import ProcessJob
from toolbox_process.engine.spool import ERR
from toolbox_process.engine.spool import OUT
from toolbox_process.jobs.filed import FiledSpool
from toolbox_process.jobs.models import AppliedLimit
from toolbox_process.jobs.models import JobInfo
from toolbox_process.jobs.models import JobOutput
from toolbox_process.jobs.models import OutputFile
from toolbox_process.jobs.models import OutputQuery
from toolbox_process.jobs.models import PreviewQuery
from toolbox_process.models import StreamPreview
from toolbox_process.wire.pieces import read_pieces
from toolbox_process.wire.preview import parse_preview
from toolbox_process.wire.preview import stream_preview


def job_info(job: Job, query: PreviewQuery | None = None) -> JobInfo:
    """Return a job as clients are shown it, with the preview that was asked for.

    Raises BadRequest.
    """
    preview = parse_preview(query.preview or "") if query else None
    done = job.done.is_set()  # Read first: what is read after the end is complete.
    previews: dict[str, StreamPreview] = {}
    if query and preview:
        with job.spool.held():
            for name, stream in STREAMS.items():
                previews[name] = stream_preview(job.spool, stream, preview, query.encoding)
    return JobInfo(
        id=job.id,
        kind=job.kind.value,
        command=job.label,
        started_at=job.started.isoformat(),
        output_start=job.spool.start,
        output_end=job.spool.end,
        done=done,
        pid=job.pid,
        ended_at=job.ended.isoformat() if job.ended else None,
        exit_code=job.exit_code,
        reason=job.reason.value if job.reason else None,
        duration=((job.ended or datetime.now(UTC)) - job.started).total_seconds(),
        limits=_limits(job),
        output_file=_output_file(job),
        **previews,
    )


def _limits(job: Job) -> dict[str, AppliedLimit] | UnsetType:
    if not isinstance(job, ProcessJob) or job.limits is None:
        return UNSET
    applied = job.child.applied
    return {
        name: AppliedLimit(value=value, by=applied.get(name, "none"))
        for name, value in job.limits.given().items()
    }


def _output_file(job: Job) -> OutputFile | UnsetType:
    spool = job.spool
    if not isinstance(spool, FiledSpool):
        return UNSET
    return OutputFile(path=str(spool.path), bytes=spool.written, error=spool.error())


STREAMS = {"output": None, "stdout": OUT, "stderr": ERR}
"""The members of a preview: both streams together, and each alone."""


def read_output(job: Job, query: OutputQuery) -> JobOutput:
    """Return the output from an offset on, within a limit."""
    done = job.done.is_set()  # Read first: what is read after the end is complete.
    found = read_pieces(job.spool, query.offset, query.limit, query.encoding)
    return JobOutput(
        pieces=found.pieces,
        next_offset=found.next_offset,
        gap=found.gap,
        done=done and found.next_offset >= job.spool.end,
    )
