"""A stream of a job's output as text, a piece at a time: the first and the last part of it if it is
over a limit.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from toolbox_process.spool import Spool

PIECE = 64 * 1024
"""Bytes decoded at once."""

SURVEY = 1024 * 1024
"""Bytes between two places from which reading can go on."""


class Excerpt:
    """All of one stream, or of both in the order they came (None), within ``limit`` bytes.

    Of more the first and the last half are kept, and a note stands where something is left out,
    naming the whole and, with ``where``, the place where it is. Bytes that aren't UTF-8 become
    U+FFFD; decoding happens here, at the edge, so that a character may arrive in pieces. Nothing is
    held in memory: what is there when it is made, is read again when it is wanted.
    """

    def __init__(self, spool: Spool, stream: int | None, limit: int, where: str = "") -> None:
        self._spool = spool
        self._stream = stream
        self._where = where
        self._end = spool.end
        self._marks: list[tuple[int, int]] = []
        self.dropped = 0
        """Bytes left out."""
        half = limit // 2
        kept, before_gap = self._survey()
        self._head = min(half, kept if before_gap is None else before_gap)
        self._tail = self._head
        if kept - self._head > limit - half:
            self._tail = kept - half
            self.dropped += self._tail - self._head
        self.size = self._head + kept - self._tail
        """Bytes of it, before they are decoded."""

    def _survey(self) -> tuple[int, int | None]:
        """How many bytes of the stream there are, and how many before the first gap, if one is."""
        at = kept = 0
        before_gap: int | None = None
        for offset, end, data in self._read(0):
            # Nothing behind a gap is the beginning.
            if offset > at:
                self.dropped += offset - at
                before_gap = kept if before_gap is None else before_gap
            at = end
            if data and (not self._marks or kept - self._marks[-1][1] >= SURVEY):
                self._marks.append((offset, kept))
            kept += len(data)
        return kept, before_gap

    def _read(self, offset: int, size: int = SURVEY) -> Iterator[tuple[int, int, bytes]]:
        """Where each chunk begins and ends, and what of it is the stream's."""
        while offset < self._end:
            chunk = self._spool.read(offset, min(size, self._end - offset))
            wanted = self._stream is None or chunk.stream == self._stream
            yield chunk.offset, chunk.end, chunk.data if wanted else b""
            offset = chunk.end

    def pieces(self) -> Iterator[str]:
        """The text."""
        if not self.dropped:
            yield from decode(self._bytes(0, self.size))
            return
        yield from decode(self._bytes(0, self._head))
        yield self._note()
        yield from decode(self._bytes(self._tail, self._tail + self.size - self._head))

    def _note(self) -> str:
        note = f"\n[... {self.dropped} bytes left out ...]\n"
        return f"{note}[of {self.dropped + self.size}: {self._where}]\n" if self._where else note

    def _bytes(self, start: int, stop: int) -> Iterator[bytes]:
        """The stream's bytes between two numbers of them."""
        before = [mark for mark in self._marks if mark[1] <= start]
        offset, at = before[-1] if before else (0, 0)
        for _, _, data in self._read(offset, PIECE):
            if at >= stop:
                return
            if piece := data[max(0, start - at) : stop - at]:
                yield piece
            at += len(data)


def decode(pieces: Iterator[bytes]) -> Iterator[str]:
    """The text of a stream of bytes, what isn't UTF-8 replaced."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for piece in pieces:
        yield decoder.decode(piece)
    yield decoder.decode(b"", True)
