"""A stream of a job's output as text, in pieces: of a long one the first and the last part."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from toolbox_process.engine.spool import Spool

PIECE = 64 * 1024
"""Bytes decoded in one step."""

SURVEY = 1024 * 1024
"""Bytes between two marks, offsets of the spool at which reading can begin."""


class Excerpt:
    """All of one stream, or of both in the order they were read (None), within ``limit`` bytes.

    Of a longer stream the first and the last half of ``limit`` are kept, with a note between them
    about what is left out, which names ``where`` to get everything. Bytes that aren't UTF-8 become
    U+FFFD; decoding happens last, so a character may be split between reads. Nothing is held in
    memory: the spool as it was when the excerpt was made is read again.
    """

    def __init__(self, spool: Spool, stream: int | None, limit: int, where: str = "") -> None:
        self._spool = spool
        self._stream = stream
        self._where = where
        self._end = spool.end
        self._marks: list[tuple[int, int]] = []
        self.dropped = 0
        """Number of bytes left out."""
        # Positions in the stream: the head ends at one, the tail begins at the other, and without
        # anything left out they are the same.
        half = limit // 2
        kept, before_gap = self._survey()
        self._head = min(half, kept if before_gap is None else before_gap)
        self._tail = self._head
        if kept - self._head > limit - half:
            self._tail = kept - half
            self.dropped += self._tail - self._head
        self.size = self._head + kept - self._tail
        """Number of bytes kept, before decoding."""

    def _survey(self) -> tuple[int, int | None]:
        """Return the bytes of the stream, in all and (None without a gap) before the first gap."""
        position = kept = 0
        before_gap: int | None = None
        for offset, end, data in self._read(0):
            # Bytes after a gap are no longer the beginning.
            if offset > position:
                self.dropped += offset - position
                before_gap = kept if before_gap is None else before_gap
            position = end
            if data and (not self._marks or kept - self._marks[-1][1] >= SURVEY):
                self._marks.append((offset, kept))
            kept += len(data)
        return kept, before_gap

    def _read(self, offset: int, size: int = SURVEY) -> Iterator[tuple[int, int, bytes]]:
        """Yield the start and the end of each chunk, and its bytes if they are of the stream."""
        while offset < self._end:
            chunk = self._spool.read(offset, min(size, self._end - offset))
            wanted = self._stream is None or chunk.stream == self._stream
            yield chunk.offset, chunk.end, chunk.data if wanted else b""
            offset = chunk.end

    def pieces(self) -> Iterator[str]:
        """Yield the text."""
        if not self.dropped:
            if self.size <= PIECE:  # Nearly always.
                yield b"".join(self._bytes(0, self.size)).decode("utf-8", "replace")
            else:
                yield from decode(self._bytes(0, self.size))
            return
        # Apart from each other: a character may be cut at either side of the gap.
        yield from decode(self._bytes(0, self._head))
        yield self._note()
        yield from decode(self._bytes(self._tail, self._tail + self.size - self._head))

    def _note(self) -> str:
        return left_out(self.dropped, self.dropped + self.size, self._where)

    def _bytes(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes of the stream from position ``start`` to ``stop``."""
        # From the last mark before it: the tail of a long log would take as long as all of it.
        before = [mark for mark in self._marks if mark[1] <= start]
        offset, position = before[-1] if before else (0, 0)
        for _, _, data in self._read(offset, PIECE):
            if position >= stop:
                return
            if piece := data[max(0, start - position) : stop - position]:
                yield piece
            position += len(data)


def left_out(dropped: int, total: int, where: str = "") -> str:
    """Return the note that stands where ``dropped`` of ``total`` bytes are left out."""
    note = f"\n[... {dropped} bytes left out ...]\n"
    return f"{note}[of {total}: {where}]\n" if where else note


def decode(pieces: Iterator[bytes]) -> Iterator[str]:
    """Decode a stream of bytes as UTF-8, with U+FFFD for what isn't."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for piece in pieces:
        yield decoder.decode(piece)
    yield decoder.decode(b"", True)
