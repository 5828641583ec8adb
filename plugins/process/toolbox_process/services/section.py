"""The part of a longer output that one run has written."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager

from toolbox_process.engine.blocks import Size
from toolbox_process.engine.spool import OUT
from toolbox_process.engine.spool import Chunk
from toolbox_process.engine.spool import Run
from toolbox_process.engine.spool import Spool
from toolbox_process.engine.spool import Totals


class Section(Spool):
    """A spool whose bytes are those of another one, from its present end on, as if from 0.

    It takes no room of its own, and what is no longer kept there is a gap here. After
    :meth:`complete` it doesn't grow with the other one any more.
    """

    def __init__(self, whole: Spool) -> None:
        # Not that of the class above: nothing is stored here.
        self._whole = whole
        self._before = whole.totals()
        self._last: Totals | None = None

    def complete(self) -> None:
        """Let it end here: what follows belongs to the next run."""
        self._last = self.totals()

    @property
    def end(self) -> int:
        return self.totals().output

    @property
    def start(self) -> int:
        return min(self.end, max(0, self._whole.start - self._before.output))

    def totals(self) -> Totals:
        if self._last is not None:
            return self._last
        return Totals(*map(operator.sub, self._whole.totals(), self._before))

    def run_at(self, offset: int) -> Run:
        base = self._before.output
        stream, start, end = self._whole.run_at(base + offset)
        return Run(stream, max(0, start - base), min(self.end, end - base))

    def size(self) -> Size:
        return Size()

    def append(self, data: bytes, stream: int = OUT) -> None:
        self._whole.append(data, stream)

    def read(self, offset: int, size: int) -> Chunk:
        base, end = self._before.output, self.end
        if offset < end:
            chunk = self._whole.read(base + offset, min(size, end - offset))
            if chunk.offset < base + end:
                return Chunk(chunk.offset - base, chunk.stream, chunk.data)
        return Chunk(max(offset, end), OUT, b"")

    @contextmanager
    def held(self) -> Iterator[None]:
        with self._whole.held():
            yield

    def rebound(self, limit: int) -> None:
        """Do nothing: the other spool has the limit."""

    def discard(self) -> None:
        """Do nothing: the bytes belong to the other spool."""
