"""Recordings of terminals in the format asciicast v2.

Source: https://docs.asciinema.org/manual/asciicast/v2/: a line with a header, then a line for each
event, ``[seconds, "o", text]`` for output and ``[seconds, "r", "COLUMNSxROWS"]`` for a new size.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any

import msgspec

from toolbox_process.engine.job import Job
from toolbox_process.engine.views.view import TerminalView

PIECE = 32 * 1024
"""Bytes of output in one event at most."""


def record(job: Job, view: TerminalView) -> Iterator[bytes]:
    """Yield the lines of a recording of the output up to now."""
    spool, timeline = job.spool, view.timeline
    offset, end = spool.start, spool.end
    first = timeline.mark_at(offset)
    begun = first[1] if offset and first else view.started
    size = timeline.size_at(offset)
    header: dict[str, Any] = {
        "version": 2,
        "width": size.columns,
        "height": size.rows,
        "timestamp": int(job.started.timestamp() + begun - view.started),
        "env": {"TERM": view.term},
    }
    if title := view.look().title:
        header["title"] = title
    yield msgspec.json.encode(header) + b"\n"
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    resizes = iter(timeline.sizes_after(offset))
    resize = next(resizes, None)
    moment = 0.0
    with spool.held():
        while offset < end:
            mark = timeline.mark_at(offset)
            # Times may only grow, also where marks were dropped.
            moment = max(moment, mark[1] - begun) if mark else moment
            while resize and resize.offset <= offset:
                yield _event(moment, "r", f"{resize.size.columns}x{resize.size.rows}")
                resize = next(resizes, None)
            stop = min(end, offset + PIECE, *(each[0] for each in (mark, resize) if each))
            chunk = spool.read(offset, stop - offset)
            offset = chunk.end
            if text := decoder.decode(chunk.data, final=offset >= end):
                yield _event(moment, "o", text)


def _event(moment: float, kind: str, data: str) -> bytes:
    return msgspec.json.encode([round(moment, 6), kind, data]) + b"\n"
