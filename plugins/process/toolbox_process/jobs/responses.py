"""Jobs and their output as clients are shown them."""

from __future__ import annotations

import base64

from toolbox_process.engine.job import Job
from toolbox_process.engine.spool import ERR
from toolbox_process.engine.spool import Chunk
from toolbox_process.jobs.models import JobInfo
from toolbox_process.jobs.models import JobOutput
from toolbox_process.jobs.models import OutputQuery
from toolbox_process.jobs.models import Piece


def job_info(job: Job) -> JobInfo:
    """Return a job as clients are shown it."""
    return JobInfo(
        id=job.id,
        kind=job.kind.value,
        command=job.label,
        started_at=job.started.isoformat(),
        output_start=job.spool.start,
        output_end=job.spool.end,
        done=job.done.is_set(),
        pid=job.pid,
        ended_at=job.ended.isoformat() if job.ended else None,
        exit_code=job.exit_code,
        reason=job.reason.value if job.reason else None,
    )


def output_piece(chunk: Chunk, encoding: str) -> Piece:
    """Return a chunk as clients are sent it."""
    if encoding == "text":
        data = chunk.data.decode("utf-8", "replace")
    else:
        data = base64.b64encode(chunk.data).decode("ascii")
    stream = "stderr" if chunk.stream == ERR else "stdout"
    return Piece(offset=chunk.offset, stream=stream, data=data)  # type: ignore[arg-type]


def read_output(job: Job, query: OutputQuery) -> JobOutput:
    """Return the output from an offset on, within a limit."""
    done = job.done.is_set()  # Read first: what is read after the end is complete.
    pieces: list[Piece] = []
    offset, left, gap = query.offset, query.limit, 0
    # A chunk is of one stream, so a response may need several.
    while left:
        chunk = job.spool.read(offset, left)
        gap += chunk.offset - offset
        offset = chunk.end
        if not chunk.data:
            break
        pieces.append(output_piece(chunk, query.encoding))
        left -= len(chunk.data)
    return JobOutput(
        pieces=pieces, next_offset=offset, gap=gap, done=done and offset >= job.spool.end
    )
