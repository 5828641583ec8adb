"""Response headers for facts that don't fit in the bodies of the Daytona Toolbox API."""

from __future__ import annotations

from toolbox_process.engine.output import Output
from toolbox_process.errors import END_REASON
from toolbox_process.errors import JOB

NOTE = "X-Toolbox-Note"
"""A remark in words, for example that a program was started in another directory."""

TRUNCATED = "X-Toolbox-Truncated"
"""Bytes of output left out of the body."""


def output_path(job_id: str) -> str:
    """Return the path of the operation that returns all of a job's output."""
    return f"/x/jobs/{job_id}/output"


def end_headers(job: Output, dropped: int) -> dict[str, str]:
    """Return the headers with a job's id, its end reason and the bytes left out of the body."""
    headers = {JOB: job.id}
    # A job that runs has no reason yet.
    if job.reason is not None:
        headers[END_REASON] = job.reason.value
    if dropped:
        headers[TRUNCATED] = str(dropped)
    return headers


def note_headers(note: str) -> dict[str, str]:
    """Return the header for a note, none for an empty one."""
    # A header has no line ends (RFC 9110, 5.5), and only ASCII is understood by every client.
    return {NOTE: note.encode("unicode_escape").decode("ascii")} if note else {}
