"""Responses with the log of a session's command, in the form its client understands."""

from __future__ import annotations

from collections.abc import Iterator

from toolbox.response import JsonResponse
from toolbox.response import StreamResponse
from toolbox_process.engine.excerpt import Excerpt
from toolbox_process.engine.excerpt import decode
from toolbox_process.engine.excerpt import left_out
from toolbox_process.engine.output import Output
from toolbox_process.engine.spool import ERR
from toolbox_process.engine.spool import OUT
from toolbox_process.engine.spool import Chunk
from toolbox_process.errors import JOB
from toolbox_process.sessions.dialect import Dialect
from toolbox_process.sessions.logs import log_pieces
from toolbox_process.sessions.logs import mark
from toolbox_process.sessions.models import Logs
from toolbox_process.sessions.models import SessionExecuteResponse
from toolbox_process.wire.headers import end_headers
from toolbox_process.wire.headers import output_path
from toolbox_process.wire.long_json import LongText
from toolbox_process.wire.long_json import long_json_response
from toolbox_process.wire.preview import Preview
from toolbox_process.wire.preview import Shortened
from toolbox_process.wire.preview import preview_headers
from toolbox_process.wire.preview import read_ends
from toolbox_process.wire.preview import shortened

STREAMS = {"output": None, "stdout": OUT, "stderr": ERR}
"""The members of a JSON log: both streams together, and each alone."""

TEXT = "text/plain; charset=utf-8"


def log_response(
    job: Output, dialect: Dialect, limit: int, preview: Preview | None = None
) -> JsonResponse | StreamResponse:
    """Return the log as it is now: JSON within ``limit`` bytes for each stream, or all as text.

    With a ``preview`` both ends of it only.
    """
    totals = preview_headers(job.spool, preview, output_path(job.id))
    if dialect is not Dialect.JSON:
        headers = {**end_headers(job, 0), **totals}
        pieces = _previewed(job, dialect, preview) if preview else log_pieces(job, dialect)
        return StreamResponse(pieces, TEXT, headers=headers)
    texts = _excerpts(job, limit, preview)
    headers = {**end_headers(job, texts["output"].dropped), **totals}
    return long_json_response(Logs, job.spool, headers, {**texts})


def _excerpts(job: Output, limit: int, preview: Preview | None) -> dict[str, Excerpt | Shortened]:
    where = output_path(job.id)
    return {
        name: shortened(job.spool, stream, limit, preview, where)
        for name, stream in STREAMS.items()
    }


def _previewed(job: Output, dialect: Dialect, preview: Preview) -> Iterator[bytes]:
    """Yield both ends of a log in the form of an older client."""
    ends = read_ends(job.spool, None, preview)
    for chunk in ends.head:
        yield mark(chunk, dialect)
    if ends.omitted:
        note = left_out(ends.omitted, ends.total, output_path(job.id)).encode()
        yield mark(Chunk(0, ERR, note), dialect)
    for chunk in ends.tail:
        yield mark(chunk, dialect)


def session_execute_response(
    command: Output, waited: bool, dialect: Dialect, limit: int, preview: Preview | None = None
) -> JsonResponse | StreamResponse:
    """Return the response to a session's command, with its output if it was waited for."""
    if not waited:
        accepted = SessionExecuteResponse(cmd_id=command.id)
        return JsonResponse(accepted, 202, {JOB: command.id})
    texts: dict[str, LongText] = {"output": _LogText(command, dialect, limit, preview)}
    dropped = 0
    if dialect is Dialect.JSON:
        excerpts = _excerpts(command, limit, preview)
        texts, dropped = {**excerpts}, excerpts["output"].dropped
    totals = preview_headers(command.spool, preview, output_path(command.id))
    return long_json_response(
        SessionExecuteResponse,
        command.spool,
        {**end_headers(command, dropped), **totals},
        texts,
        cmd_id=command.id,
        exit_code=command.exit_code,
    )


class _LogText:
    """The log as text for a JSON field of an older client, at most ``limit`` bytes."""

    def __init__(self, job: Output, dialect: Dialect, limit: int, preview: Preview | None) -> None:
        self._preview = preview
        self._job = job
        self._dialect = dialect
        self._limit = limit
        self.size = min(sum(preview) if preview else limit, job.spool.end)

    def pieces(self) -> Iterator[str]:
        """Yield the text."""
        yield from decode(self._bytes())

    def _bytes(self) -> Iterator[bytes]:
        left = self._limit
        pieces = log_pieces(self._job, self._dialect)
        if self._preview:
            pieces = _previewed(self._job, self._dialect, self._preview)
        for piece in pieces:
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                return
