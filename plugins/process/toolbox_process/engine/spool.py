"""The output of one job: bytes with offsets, in memory first, then on disk, within a bound.

Both streams are kept in one sequence, in the order they were read; the offsets where the stream
changes are kept beside it. Over the bound the middle is dropped: logs are read from the beginning
or at the end.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from toolbox_process.engine.blocks import Block
from toolbox_process.engine.blocks import BlockList
from toolbox_process.engine.blocks import BlocksStanding
from toolbox_process.engine.blocks import Size
from toolbox_process.engine.stream_changes import ERR as ERR
from toolbox_process.engine.stream_changes import OUT as OUT
from toolbox_process.engine.stream_changes import Changes
from toolbox_process.engine.stream_changes import StreamChanges

NOTHING = Size()

log = logging.getLogger("toolbox")


class Chunk(NamedTuple):
    """Consecutive bytes of one stream. An ``offset`` over the requested one means a gap."""

    offset: int
    stream: int
    data: bytes

    @property
    def end(self) -> int:
        """The offset to continue from."""
        return self.offset + len(self.data)


class Run(NamedTuple):
    """Consecutive bytes of one stream, without the bytes."""

    stream: int
    start: int
    end: int


class Totals(NamedTuple):
    """Bytes written so far: of both streams, and of each."""

    output: int
    stdout: int
    stderr: int

    def of(self, stream: int | None) -> int:
        """Return the bytes of a stream, of both for None."""
        return self.output if stream is None else (self.stderr if stream == ERR else self.stdout)


class SpoolStanding(NamedTuple):
    """The contents of a spool, for another one to go on with."""

    blocks: BlocksStanding
    changes: Changes
    end: int
    errors: int
    floor: int
    discarded: bool


class Spool:
    """A byte sequence that one thread appends to and any thread reads.

    The arguments are those of :class:`BlockList`. Bytes that can't be stored, or can't be read
    again, are a gap like those that were dropped.
    """

    def __init__(
        self, memory: int, limit: int, directory: Callable[[int], Path], keep_head: bool = True
    ) -> None:
        self._blocks = BlockList(memory, limit, directory, keep_head)
        self._streams = StreamChanges()
        self._end = 0
        self._errors = 0
        self._floor = 0  # Offsets below it are not read, whatever the blocks still hold.
        self._lock = threading.Lock()
        self._discarded = False
        self._held = 0
        self._discard_when_released = False

    def standing(self) -> SpoolStanding:
        """Return what another spool goes on with, once nothing is appended any more."""
        with self._lock:
            blocks, changes = self._blocks.standing(), self._streams.standing()
            return SpoolStanding(
                blocks, changes, self._end, self._errors, self._floor, self._discarded
            )

    def resume(self, standing: SpoolStanding) -> None:
        """Go on from there. Once, before anything is appended."""
        with self._lock:
            self._blocks.resume(standing.blocks)
            self._streams.resume(standing.changes)
            self._end, self._errors = standing.end, standing.errors
            self._floor, self._discarded = standing.floor, standing.discarded

    @property
    def end(self) -> int:
        """Number of bytes written so far."""
        return self._end

    @property
    def start(self) -> int:
        """Lowest offset that can be read."""
        return max(self._floor, self._blocks.start)

    def totals(self) -> Totals:
        """Return the bytes written so far, whether or not they are still kept."""
        with self._lock:
            return Totals(self._end, self._end - self._errors, self._errors)

    def run_at(self, offset: int) -> Run:
        """Return the run of one stream that the byte at ``offset`` is in, up to the present end.

        Nothing is read for it: long output is walked through by a few of these.
        """
        with self._lock:
            stream, start, end = self._streams.run_at(offset)
            return Run(stream, start, self._end if end is None else end)

    def size(self) -> Size:
        """Return the resources in use."""
        if not self._end:  # As of many commands.
            return NOTHING
        with self._lock:
            return self._blocks.size()

    def append(self, data: bytes, stream: int = OUT) -> None:
        """Add ``data`` at the end."""
        if not data:
            return
        with self._lock:
            if stream == ERR:
                self._errors += len(data)
            if self._discarded:
                # A background process may still write: readers see a gap.
                self._end += len(data)
                self._floor = self._end
                return
            # Bytes whose stream is forgotten can't be returned, so they are dropped too.
            if known_from := self._streams.note(stream, self._end):
                self._blocks.drop_before(known_from)
                self._floor = known_from
            self._blocks.append(data, self._end)
            self._end += len(data)

    def forget_recent(self) -> None:
        """Free the copy of what was appended last: until then, it isn't read from the disk."""
        with self._lock:
            self._blocks.forget_recent()

    def read(self, offset: int, size: int) -> Chunk:
        """Return up to ``size`` bytes of one stream from ``offset`` on; no bytes at the end.

        Bytes that are no longer kept are skipped: the chunk's offset is where it begins.
        """
        with self._lock:
            offset = max(offset, self._floor)
            while block := self._blocks.find(offset):
                offset = max(offset, block.start)
                stream, change = self._streams.look_up(offset)
                ahead = size if change is None else min(size, change - offset)
                if data := _read(block, offset, ahead):
                    return Chunk(offset, stream, data)
                # What can't be read is skipped as if it had been dropped.
                offset = block.end
            return Chunk(max(offset, self._end), self._streams.current, b"")

    def chunks(self, offset: int = 0, size: int = 1 << 20) -> Iterator[Chunk]:
        """Yield everything from ``offset`` to the present end, in chunks of up to ``size`` bytes.

        If the last bytes are lost, an empty chunk at the end follows.
        """
        end = self.end
        while offset < end:
            chunk = self.read(offset, size)
            yield chunk
            offset = chunk.end

    def held(self) -> Spool:
        """Return a context that postpones :meth:`discard` to its end."""
        return self

    def __enter__(self) -> None:
        with self._lock:
            self._held += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._held -= 1
            discarding = self._discard_when_released and not self._held
        # Without the lock, which discard() takes itself.
        if discarding:
            self.discard()

    def rebound(self, limit: int) -> None:
        """Keep about ``limit`` bytes from now on."""
        with self._lock:
            self._blocks.rebound(limit)

    def discard(self) -> None:
        """Free everything, and store nothing from now on; offsets continue to count."""
        with self._lock:
            if self._held:
                self._discard_when_released = True
                return
            self._blocks.clear(self._end)
            self._streams.clear()
            self._discarded = True


def _read(block: Block, offset: int, size: int) -> bytes:
    try:
        return block.read(offset, size)
    except OSError as error:
        log.error("output can't be read: %s", error.strerror)
        return b""
