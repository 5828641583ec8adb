"""Responses with the log of a session's command, in the form its client understands."""

from __future__ import annotations

from collections.abc import Iterator

from toolbox.response import JsonResponse
from toolbox.response import StreamResponse
from toolbox_process.engine.excerpt import Excerpt
from toolbox_process.engine.excerpt import decode
from toolbox_process.engine.output import Output
from toolbox_process.engine.spool import ERR
from toolbox_process.engine.spool import OUT
from toolbox_process.errors import JOB
from toolbox_process.sessions.dialect import Dialect
from toolbox_process.sessions.logs import log_pieces
from toolbox_process.sessions.models import Logs
from toolbox_process.sessions.models import SessionExecuteResponse
from toolbox_process.wire.headers import end_headers
from toolbox_process.wire.headers import output_path
from toolbox_process.wire.long_json import LongText
from toolbox_process.wire.long_json import long_json_response

STREAMS = {"output": None, "stdout": OUT, "stderr": ERR}
"""The members of a JSON log: both streams together, and each alone."""

TEXT = "text/plain; charset=utf-8"


def log_response(job: Output, dialect: Dialect, limit: int) -> JsonResponse | StreamResponse:
    """Return the log as it is now: JSON within ``limit`` bytes for each stream, or all as text."""
    if dialect is not Dialect.JSON:
        return StreamResponse(log_pieces(job, dialect), TEXT, headers=end_headers(job, 0))
    texts = _excerpts(job, limit)
    headers = end_headers(job, texts["output"].dropped)
    return long_json_response(Logs, job.spool, headers, {**texts})


def _excerpts(job: Output, limit: int) -> dict[str, Excerpt]:
    where = output_path(job.id)
    return {name: Excerpt(job.spool, stream, limit, where) for name, stream in STREAMS.items()}


def session_execute_response(
    command: Output, waited: bool, dialect: Dialect, limit: int
) -> JsonResponse | StreamResponse:
    """Return the response to a session's command, with its output if it was waited for."""
    if not waited:
        accepted = SessionExecuteResponse(cmd_id=command.id)
        return JsonResponse(accepted, 202, {JOB: command.id})
    texts: dict[str, LongText] = {"output": _LogText(command, dialect, limit)}
    dropped = 0
    if dialect is Dialect.JSON:
        excerpts = _excerpts(command, limit)
        texts, dropped = {**excerpts}, excerpts["output"].dropped
    return long_json_response(
        SessionExecuteResponse,
        command.spool,
        end_headers(command, dropped),
        texts,
        cmd_id=command.id,
        exit_code=command.exit_code,
    )


class _LogText:
    """The log as text for a JSON field of an older client, at most ``limit`` bytes."""

    def __init__(self, job: Output, dialect: Dialect, limit: int) -> None:
        self._job = job
        self._dialect = dialect
        self._limit = limit
        self.size = min(limit, job.spool.end)

    def pieces(self) -> Iterator[str]:
        """Yield the text."""
        yield from decode(self._bytes())

    def _bytes(self) -> Iterator[bytes]:
        left = self._limit
        for piece in log_pieces(self._job, self._dialect):
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                return
