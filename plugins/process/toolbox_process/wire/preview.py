"""Previews: the beginning and the end of a job's output, and how much there is in all.

Only what is shown is read, however long the output is and however often the streams alternate.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import NamedTuple

from toolbox.errors import BadRequest
from toolbox_process.engine.excerpt import Excerpt
from toolbox_process.engine.excerpt import left_out
from toolbox_process.engine.spool import Chunk
from toolbox_process.engine.spool import Spool
from toolbox_process.models import Encoding
from toolbox_process.models import StreamPreview

MOST = 1024 * 1024
"""Maximum bytes of either end."""


class Preview(NamedTuple):
    """Bytes from the beginning and from the end that are shown at most."""

    head: int
    tail: int


def parse_preview(text: str) -> Preview | None:
    """Return the preview that was asked for, None for an empty text. Raises BadRequest."""
    if not text:
        return None
    head, _, tail = text.partition(",")
    preview = Preview(int(head), int(tail))
    if max(preview) > MOST:
        raise BadRequest(f"preview: the limit of each end is {MOST} bytes")
    return preview


class Ends(NamedTuple):
    """The chunks at both ends of a stream of ``total`` bytes."""

    total: int
    head: list[Chunk]
    tail: list[Chunk]

    @property
    def omitted(self) -> int:
        """Bytes between them."""
        return self.total - _length(self.head) - _length(self.tail)


def read_ends(spool: Spool, stream: int | None, preview: Preview) -> Ends:
    """Return both ends of a stream, of both streams in the order they came for None.

    Bytes that are no longer kept are among those omitted.
    """
    totals = spool.totals()
    total, end = totals.of(stream), totals.output
    everything = total <= preview.head + preview.tail
    head = list(
        _first(spool, stream, min(total, sum(preview)) if everything else preview.head, end)
    )
    # Not what is in the head already: if bytes are lost, both may be wanted.
    tail_size = min(preview.tail, total - _length(head))
    return Ends(total, head, list(_last(spool, stream, tail_size, end))[::-1])


def _first(spool: Spool, stream: int | None, size: int, end: int) -> Iterator[Chunk]:
    offset = 0
    while size > 0 and offset < end:
        run = spool.run_at(offset)
        stop = min(run.end, end)
        if stream in (None, run.stream):
            chunk = spool.read(offset, min(size, stop - offset))
            # Bytes after a gap are no longer the beginning.
            if chunk.offset > offset or not chunk.data:
                return
            yield chunk
            size -= len(chunk.data)
            offset = chunk.end
        else:
            offset = stop


def _last(spool: Spool, stream: int | None, size: int, end: int) -> Iterator[Chunk]:
    """Yield the chunks at the end, the last one first."""
    while size > 0 and end > spool.start:
        run = spool.run_at(end - 1)
        if stream in (None, run.stream):
            start = max(run.start, end - size)
            chunks = list(_between(spool, start, end))
            yield from chunks[::-1]
            # Bytes before a gap are no longer the end.
            if _length(chunks) < end - start:
                return
            size -= end - start
            end = start
        else:
            end = run.start


def _between(spool: Spool, start: int, end: int) -> Iterator[Chunk]:
    """Yield what is kept of one run, after the last gap in it."""
    found: list[Chunk] = []
    offset = start
    while offset < end:
        chunk = spool.read(offset, end - offset)
        if chunk.offset > offset:
            found.clear()
        if chunk.offset >= end or not chunk.data:
            found.clear()
            break
        kept = chunk._replace(data=chunk.data[: end - chunk.offset])
        found.append(kept)
        offset = kept.end
    yield from found


def _length(chunks: list[Chunk]) -> int:
    return sum(len(chunk.data) for chunk in chunks)


_CONTINUES = re.compile(rb"\A[\x80-\xbf]{1,3}")
# The first bytes of a character of two, three or four, without the last one (RFC 3629, 3).
_CUT = re.compile(rb"(?:[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})\Z")


def stream_preview(
    spool: Spool, stream: int | None, preview: Preview, encoding: Encoding
) -> StreamPreview:
    """Return a preview of one stream, or of both in the order they came (None)."""
    ends = read_ends(spool, stream, preview)
    head, tail = (b"".join(chunk.data for chunk in chunks) for chunks in (ends.head, ends.tail))
    replaced = False
    if encoding == "base64":
        texts = [base64.b64encode(data).decode("ascii") for data in (head, tail)]
    else:
        if ends.omitted:
            head, tail = _CUT.sub(b"", head), _CONTINUES.sub(b"", tail)
        else:
            # Nothing is between them: a character may begin in one and end in the other.
            head, tail = head + tail, b""
        texts = [data.decode("utf-8", "replace") for data in (head, tail)]
        replaced = [text.encode() for text in texts] != [head, tail]
    return StreamPreview(
        bytes=ends.total,
        head=texts[0],
        tail=texts[1],
        head_bytes=len(head),
        tail_bytes=len(tail),
        omitted=ends.total - len(head) - len(tail),
        replaced=replaced,
    )


class Shortened:
    """Both ends of a stream as one text, with a note about what is left out between them.

    It is a :class:`toolbox_process.wire.long_json.LongText`.
    """

    def __init__(self, spool: Spool, stream: int | None, preview: Preview, where: str) -> None:
        self._found = stream_preview(spool, stream, preview, "text")
        self._where = where
        self.dropped = self._found.omitted
        """Number of bytes left out."""
        self.size = self._found.head_bytes + self._found.tail_bytes

    def pieces(self) -> Iterator[str]:
        """Yield the text."""
        found = self._found
        yield found.head
        if found.omitted:
            yield left_out(found.omitted, found.bytes, self._where)
        yield found.tail


def shortened(
    spool: Spool, stream: int | None, limit: int, preview: Preview | None, where: str
) -> Excerpt | Shortened:
    """Return a stream as text within ``limit`` bytes, or both its ends if those were asked for."""
    if preview is None:
        return Excerpt(spool, stream, limit, where)
    ends = Preview(min(preview.head, limit // 2), min(preview.tail, limit // 2))
    return Shortened(spool, stream, ends, where)


def preview_headers(
    spool: Spool, preview: Preview | None, where: str, separate: bool = True
) -> dict[str, str]:
    """Return the headers with the bytes of the output, of each stream if they are ``separate``, and
    with ``where`` all of it is.
    """
    if preview is None:
        return {}
    totals = spool.totals()
    both = {"X-Toolbox-Output": where, "X-Toolbox-Output-Bytes": str(totals.output)}
    if not separate:
        return both
    return {
        **both,
        "X-Toolbox-Stdout-Bytes": str(totals.stdout),
        "X-Toolbox-Stderr-Bytes": str(totals.stderr),
    }
