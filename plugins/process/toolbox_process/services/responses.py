"""A service's output as clients are shown it."""

from __future__ import annotations

from toolbox_process.engine.spool import Spool
from toolbox_process.services.models import LogQuery
from toolbox_process.services.models import ServiceLog
from toolbox_process.wire.pieces import read_pieces


def first_offset(spool: Spool, query: LogQuery) -> int:
    """Return the offset to begin with."""
    if query.tail is None:
        return query.offset
    return max(query.offset, spool.start, spool.end - query.tail)


def read_log(spool: Spool, query: LogQuery) -> ServiceLog:
    """Return the output from an offset on, within a limit."""
    found = read_pieces(spool, first_offset(spool, query), query.limit, query.encoding)
    return ServiceLog(pieces=found.pieces, next_offset=found.next_offset, gap=found.gap)
