"""Output by offset, in pieces of one stream each."""

from __future__ import annotations

import base64
from typing import NamedTuple

from toolbox_process.engine.spool import ERR
from toolbox_process.engine.spool import Chunk
from toolbox_process.engine.spool import Spool
from toolbox_process.models import Piece


class Pieces(NamedTuple):
    """Output from an offset on; ``gap`` bytes of it are no longer kept."""

    pieces: list[Piece]
    next_offset: int
    gap: int


def output_piece(chunk: Chunk, encoding: str) -> Piece:
    """Return a chunk as clients are sent it."""
    if encoding == "text":
        data = chunk.data.decode("utf-8", "replace")
    else:
        data = base64.b64encode(chunk.data).decode("ascii")
    return Piece(
        offset=chunk.offset, stream="stderr" if chunk.stream == ERR else "stdout", data=data
    )


def read_pieces(spool: Spool, offset: int, limit: int, encoding: str) -> Pieces:
    """Return the output from an offset on, within ``limit`` bytes."""
    pieces: list[Piece] = []
    left, gap = limit, 0
    # A chunk is of one stream, so a response may need several.
    while left:
        chunk = spool.read(offset, left)
        gap += chunk.offset - offset
        offset = chunk.end
        if not chunk.data:
            break
        pieces.append(output_piece(chunk, encoding))
        left -= len(chunk.data)
    return Pieces(pieces, offset, gap)
