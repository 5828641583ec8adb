"""The part of a longer output that one run has written."""

from __future__ import annotations

import operator

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

    def __init__(
        self, whole: Spool, before: Totals | None = None, last: Totals | None = None
    ) -> None:
        # Not that of the class above: nothing is stored here.
        self.whole = whole
        self.before = before or whole.totals()
        """The totals of the other spool at its beginning."""
        self.last = last
        """Its own totals, once it is complete."""

    def complete(self) -> None:
        """Let it end here: what follows belongs to the next run."""
        self.last = self.totals()

    @property
    def end(self) -> int:
        return self.totals().output

    @property
    def start(self) -> int:
        return min(self.end, max(0, self.whole.start - self.before.output))

    def totals(self) -> Totals:
        if self.last is not None:
            return self.last
        return Totals(*map(operator.sub, self.whole.totals(), self.before))

    def run_at(self, offset: int) -> Run:
        base = self.before.output
        stream, start, end = self.whole.run_at(base + offset)
        return Run(stream, max(0, start - base), min(self.end, end - base))

    def size(self) -> Size:
        return Size()

    def append(self, data: bytes, stream: int = OUT) -> None:
        self.whole.append(data, stream)

    def forget_recent(self) -> None:
        self.whole.forget_recent()

    def read(self, offset: int, size: int) -> Chunk:
        base, end = self.before.output, self.end
        if offset < end:
            chunk = self.whole.read(base + offset, min(size, end - offset))
            if chunk.offset < base + end:
                return Chunk(chunk.offset - base, chunk.stream, chunk.data)
        return Chunk(max(offset, end), OUT, b"")

    def held(self) -> Spool:
        return self.whole.held()

    def rebound(self, limit: int) -> None:
        """Do nothing: the other spool has the limit."""

    def discard(self) -> None:
        """Do nothing: the bytes belong to the other spool."""
