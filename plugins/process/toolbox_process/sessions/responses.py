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
        text = _LogText(job, dialect, None, preview)
        headers = {**end_headers(job, text.dropped), **totals}
        return StreamResponse(text.encoded(), TEXT, headers=headers)
    texts = _excerpts(job, limit, preview)
    headers = {**end_headers(job, texts["output"].dropped), **totals}
    return long_json_response(Logs, job.spool, headers, {**texts})


def _excerpts(job: Output, limit: int, preview: Preview | None) -> dict[str, Excerpt | Shortened]:
    where = output_path(job.id)
    return {
        name: shortened(job.spool, stream, limit, preview, where)
        for name, stream in STREAMS.items()
    }


def session_execute_response(
    command: Output, waited: bool, dialect: Dialect, limit: int, preview: Preview | None = None
) -> JsonResponse | StreamResponse:
    """Return the response to a session's command, with its output if it was waited for."""
    if not waited:
        accepted = SessionExecuteResponse(cmd_id=command.id)
        return JsonResponse(accepted, 202, {JOB: command.id})
    texts: dict[str, LongText]
    if dialect is Dialect.JSON:
        excerpts = _excerpts(command, limit, preview)
        texts, dropped = {**excerpts}, excerpts["output"].dropped
    else:
        text = _LogText(command, dialect, limit, preview)
        texts, dropped = {"output": text}, text.dropped
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
    """The log as text for an older client: all of it, both ends of what is more than ``limit``
    bytes, or those of a ``preview``.
    """

    def __init__(
        self, job: Output, dialect: Dialect, limit: int | None, preview: Preview | None
    ) -> None:
        self._job = job
        self._dialect = dialect
        end = job.spool.end
        limit = end if limit is None else limit
        # As JSON has it: room for both ends, or the end of the output would be lost unnoticed.
        half = limit // 2
        head, tail = (end, 0) if end <= limit else (half, half)
        if preview is not None:
            head, tail = (min(each, head) for each in preview)
        self._head = min(head, end)
        self._tail = max(end - tail, self._head)
        self._end = end
        self.dropped = self._tail - self._head
        """Number of bytes left out."""
        self.size = end - self.dropped

    def encoded(self) -> Iterator[bytes]:
        """Yield the text as UTF-8, or what the program wrote instead."""
        job, dialect = self._job, self._dialect
        if not self.dropped:
            yield from log_pieces(job, dialect, 0, self._end)
            return
        # By offset, of which both streams have one: only what is sent is read.
        yield from log_pieces(job, dialect, 0, self._head)
        note = left_out(self.dropped, self._end, output_path(job.id)).encode()
        yield mark(Chunk(0, ERR, note), dialect)
        yield from log_pieces(job, dialect, self._tail, self._end)

    def pieces(self) -> Iterator[str]:
        """Yield the text."""
        yield from decode(self.encoded())
