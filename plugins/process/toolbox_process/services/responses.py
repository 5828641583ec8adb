"""A service's output as clients are shown it."""

from __future__ import annotations

import base64

from toolbox_process.engine.spool import ERR
from toolbox_process.engine.spool import Chunk
from toolbox_process.engine.spool import Spool
from toolbox_process.services.models import LogPiece
from toolbox_process.services.models import LogQuery
from toolbox_process.services.models import ServiceLog


def log_piece(chunk: Chunk, encoding: str) -> LogPiece:
    """Return a chunk as clients are sent it."""
    if encoding == "text":
        data = chunk.data.decode("utf-8", "replace")
    else:
        data = base64.b64encode(chunk.data).decode("ascii")
    stream = "stderr" if chunk.stream == ERR else "stdout"
    return LogPiece(offset=chunk.offset, stream=stream, data=data)  # type: ignore[arg-type]


def first_offset(spool: Spool, query: LogQuery) -> int:
    """Return the offset to begin with."""
    if query.tail is None:
        return query.offset
    return max(query.offset, spool.start, spool.end - query.tail)


def read_log(spool: Spool, query: LogQuery) -> ServiceLog:
    """Return the output from an offset on, within a limit."""
    pieces: list[LogPiece] = []
    offset, left, gap = first_offset(spool, query), query.limit, 0
    # A chunk is of one stream, so a response may need several.
    while left:
        chunk = spool.read(offset, left)
        gap += chunk.offset - offset
        offset = chunk.end
        if not chunk.data:
            break
        pieces.append(log_piece(chunk, query.encoding))
        left -= len(chunk.data)
    return ServiceLog(pieces=pieces, next_offset=offset, gap=gap)
