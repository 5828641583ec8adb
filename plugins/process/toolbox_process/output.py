"""A job's output as text for an answer."""

from __future__ import annotations

from typing import NamedTuple

from toolbox_process.backend import Output
from toolbox_process.excerpt import Excerpt
from toolbox_process.spool import Spool

END_REASON = "X-Toolbox-End-Reason"
"""The header that tells why something has ended."""


class Text(NamedTuple):
    """Text of a stream, ``dropped`` bytes of whose middle are left out."""

    text: str
    dropped: int


def collect(spool: Spool, stream: int | None, limit: int) -> Text:
    """All of one stream, or of both in the order they came (None), within ``limit`` bytes, as of
    :class:`Excerpt`.
    """
    excerpt = Excerpt(spool, stream, limit)
    return Text("".join(excerpt.pieces()), excerpt.dropped)


def where_whole(job_id: str) -> str:
    """The operation that gives all of a job's output."""
    return f"/x/jobs/{job_id}/output"


def describe_end(job: Output, dropped: int) -> dict[str, str]:
    """Headers that tell what the Daytona answer has no room for."""
    headers = {"X-Toolbox-Job": job.id}
    if job.reason is not None:
        headers[END_REASON] = job.reason.value
    if dropped:
        headers["X-Toolbox-Truncated"] = str(dropped)
    return headers
