"""A command's log in the form a client understands, whole or followed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolbox.handler import NORMAL
from toolbox.response import Answer
from toolbox.response import StreamAnswer
from toolbox_process.answers import Long
from toolbox_process.answers import answer_with
from toolbox_process.backend import Output
from toolbox_process.dialect import Dialect
from toolbox_process.excerpt import Excerpt
from toolbox_process.excerpt import decode
from toolbox_process.job import Reason
from toolbox_process.output import describe_end
from toolbox_process.output import where_whole
from toolbox_process.output_follower import OutputFollower
from toolbox_process.session_models import Logs
from toolbox_process.session_models import SessionExecuteResponse
from toolbox_process.spool import ERR
from toolbox_process.spool import OUT
from toolbox_process.spool import Chunk

if TYPE_CHECKING:
    from toolbox.websocket import WebSocket

MARKERS = {OUT: b"\x01\x01\x01", ERR: b"\x02\x02\x02"}
"""Stands before each piece of a stream in a marked log."""

STREAMS = {"output": None, "stdout": OUT, "stderr": ERR}
"""What a JSON log has: both streams together, and each."""

MESSAGE = 32 * 1024
"""Bytes of one WebSocket message at most."""

TEXT = "text/plain; charset=utf-8"


def render(job: Output, dialect: Dialect, limit: int) -> Answer | StreamAnswer:
    """The log as it is now; JSON within ``limit`` bytes for each stream, text whole."""
    if dialect is not Dialect.JSON:
        return StreamAnswer(pieces(job, dialect), TEXT, headers=describe_end(job, 0))
    texts = _excerpts(job, limit)
    headers = describe_end(job, texts["output"].dropped)
    return answer_with(Logs, job.spool, headers, {**texts})


def _excerpts(job: Output, limit: int) -> dict[str, Excerpt]:
    where = where_whole(job.id)
    return {name: Excerpt(job.spool, stream, limit, where) for name, stream in STREAMS.items()}


def session_answer(
    command: Output, waited: bool, dialect: Dialect, limit: int
) -> Answer | StreamAnswer:
    """What a session's command is answered with."""
    if not waited:
        accepted = SessionExecuteResponse(cmd_id=command.id)
        return Answer(accepted, 202, {"X-Toolbox-Job": command.id})
    texts: dict[str, Long] = {"output": _Marked(command, dialect, limit)}
    dropped = 0
    if dialect is Dialect.JSON:
        excerpts = _excerpts(command, limit)
        texts, dropped = {**excerpts}, excerpts["output"].dropped
    return answer_with(
        SessionExecuteResponse,
        command.spool,
        describe_end(command, dropped),
        texts,
        cmd_id=command.id,
        exit_code=command.exit_code,
    )


class _Marked:
    """The log as text for a JSON field of an older client, at most ``limit`` bytes."""

    def __init__(self, job: Output, dialect: Dialect, limit: int) -> None:
        self._job = job
        self._dialect = dialect
        self._limit = limit
        self.size = min(limit, job.spool.end)

    def pieces(self) -> Iterator[str]:
        """The text."""
        yield from decode(self._bytes())

    def _bytes(self) -> Iterator[bytes]:
        left = self._limit
        for piece in pieces(self._job, self._dialect):
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                return


def pieces(job: Output, dialect: Dialect) -> Iterator[bytes]:
    """The log as it is now, piece by piece."""
    at, stream = 0, None
    for chunk in job.spool.chunks(size=64 * 1024):
        yield from _gap(at, chunk, dialect)
        # Marked where the stream changes: a marker may not part a character.
        goes_on = chunk.offset == at and chunk.stream == stream
        yield chunk.data if goes_on else _mark(chunk, dialect)
        at, stream = chunk.end, chunk.stream


def _mark(chunk: Chunk, dialect: Dialect) -> bytes:
    marked = dialect is Dialect.MARKED and chunk.data
    return MARKERS[chunk.stream] + chunk.data if marked else chunk.data


def _gap(at: int, chunk: Chunk, dialect: Dialect) -> Iterator[bytes]:
    """A note about what is no longer there, if something isn't."""
    if chunk.offset > at:
        note = f"\n[... {chunk.offset - at} bytes left out ...]\n".encode()
        yield MARKERS[ERR] + note if dialect is Dialect.MARKED else note


def whole_characters(data: bytes) -> int:
    """How much of ``data`` doesn't end within a UTF-8 character; all if it is none anyway."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        length = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        cut = len(data) - back if length > back else len(data)
        return cut or len(data)
    return len(data)


class LogFollower(OutputFollower):
    """Sends a log from its beginning, and what is added, until its command ends.

    Each message is a marker and at least one byte: SDKs up to 0.216 (TypeScript) lose output when
    a message ends with a marker.
    """

    def __init__(self, job: Output, dialect: Dialect, follow: bool) -> None:
        super().__init__(job)
        self._dialect = dialect
        self._until = None if follow else job.spool.end

    def send_next(self, ws: WebSocket) -> bool:
        size = MESSAGE - len(MARKERS[OUT])
        if self._until is not None:
            size = min(size, self._until - self._at)
        chunk = self._output.spool.read(self._at, size)
        if size <= 0:
            return False
        if not chunk.data:
            for note in _gap(self._at, chunk, self._dialect):
                ws.send(note)
            self._at = max(self._at, chunk.end)
            return False
        if len(chunk.data) == size:
            chunk = chunk._replace(data=chunk.data[: whole_characters(chunk.data)])
        for note in _gap(self._at, chunk, self._dialect):
            ws.send(note)
        ws.send(_mark(chunk, self._dialect))
        self._at = chunk.end
        return True

    def caught_up(self, ws: WebSocket) -> None:
        if self._until is not None or self._output.done.is_set():
            cut = self._output.reason is Reason.DAEMON_RESTART
            ws.close(NORMAL, Reason.DAEMON_RESTART.value if cut else "")
