"""A command's log as text: plain, or with markers that tell the streams apart."""

from __future__ import annotations

from collections.abc import Iterator

from toolbox_process.engine.output import Output
from toolbox_process.engine.spool import ERR
from toolbox_process.engine.spool import OUT
from toolbox_process.engine.spool import Chunk
from toolbox_process.sessions.dialect import Dialect

MARKERS = {OUT: b"\x01\x01\x01", ERR: b"\x02\x02\x02"}
"""The markers that stand before each piece of a stream in a marked log."""

PIECE = 64 * 1024
"""Bytes of output read at once."""


def log_pieces(job: Output, dialect: Dialect, start: int, end: int) -> Iterator[bytes]:
    """Yield the log between two offsets."""
    offset, stream = start, None
    while offset < end:
        chunk = job.spool.read(offset, min(PIECE, end - offset))
        if chunk.offset >= end:  # What was there is no longer kept.
            chunk = Chunk(end, chunk.stream, b"")
        yield from gap_note(offset, chunk, dialect)
        kept = chunk._replace(data=chunk.data[: end - chunk.offset])
        # A marker only where the stream changes: it must not split a character.
        continues = chunk.offset == offset and chunk.stream == stream
        yield kept.data if continues else mark(kept, dialect)
        offset, stream = kept.end, chunk.stream


def mark(chunk: Chunk, dialect: Dialect) -> bytes:
    """Return a chunk's data, with its marker if the dialect has them."""
    marked = dialect is Dialect.MARKED and chunk.data
    return MARKERS[chunk.stream] + chunk.data if marked else chunk.data


def gap_note(offset: int, chunk: Chunk, dialect: Dialect) -> Iterator[bytes]:
    """Yield a note if output between ``offset`` and ``chunk`` is no longer kept."""
    if chunk.offset > offset:
        note = f"\n[... {chunk.offset - offset} bytes left out ...]\n".encode()
        yield MARKERS[ERR] + note if dialect is Dialect.MARKED else note


def whole_characters(data: bytes) -> int:
    """Return the length of ``data`` without a character (UTF-8) that is incomplete at its end."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        # A continuation byte (RFC 3629, 3): the character begins further back.
        if byte & 0xC0 == 0x80:
            continue
        length = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        # Incomplete if the length in the first byte reaches beyond the end.
        cut = len(data) - back if length > back else len(data)
        return cut or len(data)
    return len(data)
