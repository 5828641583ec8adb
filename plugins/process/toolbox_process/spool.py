"""The output of one job: bytes with offsets, in memory first, then on disk, within a bound.

Two streams are kept in one sequence, in the order they were read; where the stream changes is
noted beside. Past the bound the middle is dropped: a log is read from its beginning or at its end.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from array import array
from bisect import bisect_right
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

OUT = 0
"""Standard output, and what terminals and combined pipes carry."""
ERR = 1
"""Standard error, where it has a pipe of its own."""

BLOCKS = 16
"""A bound is kept by dropping one of about this many blocks."""
MAX_RUNS = 1 << 20
"""Changes of the stream that are remembered: eight bytes each."""

log = logging.getLogger("toolbox")


class Chunk(NamedTuple):
    """Bytes of one stream that lie together. An ``offset`` over the one asked for is a gap."""

    offset: int
    stream: int
    data: bytes

    @property
    def end(self) -> int:
        """The offset to go on from."""
        return self.offset + len(self.data)


class Size(NamedTuple):
    """Bytes in files, bytes in memory, and how many files are open."""

    on_disk: int = 0
    in_memory: int = 0
    files: int = 0


class _Block:
    """A part of the output, in a nameless file or, where none can be made, in memory."""

    def __init__(self, start: int, fd: int | None) -> None:
        self.start = start
        self.length = 0
        self._fd = fd
        self._memory = bytearray()

    @property
    def end(self) -> int:
        return self.start + self.length

    @property
    def on_disk(self) -> bool:
        return self._fd is not None

    def append(self, data: bytes | memoryview) -> None:
        """Add ``data``, all of it or, with OSError, none."""
        if self._fd is None:
            self._memory += data
        else:
            view, at = memoryview(data), self.length
            while view:
                count = os.pwrite(self._fd, view, at)
                view, at = view[count:], at + count
        self.length += len(data)

    def read(self, offset: int, size: int) -> bytes:
        at = offset - self.start
        size = min(size, self.length - at)
        if self._fd is None:
            return bytes(memoryview(self._memory)[at : at + size])
        return os.pread(self._fd, size, at)

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class Spool:
    """Appended to by one thread, read by any.

    ``memory`` bytes stay in memory; beyond, blocks of files without a name are made in
    ``directory(0)`` or, when that is full, in ``directory(1)`` and so on, until it raises OSError.
    More than about ``limit`` bytes are never kept. With ``keep_head`` the first block outlives the
    middle. What can't be stored, or not be read again, is a gap as what was dropped is.
    """

    def __init__(
        self, memory: int, limit: int, directory: Callable[[int], Path], keep_head: bool = True
    ) -> None:
        self._memory = memory
        self._limit = limit
        self._directory = directory
        self._passed = 0
        self._full = 0  # Bytes of memory there are once no directory has room.
        self._victim = 1 if keep_head else 0  # The block that is dropped first.
        self._blocks: list[_Block] = [_Block(0, None)]
        self._runs = array("Q")
        self._first_stream = OUT
        self._stream = OUT
        self._end = 0
        self._floor = 0
        self._lock = threading.Lock()
        self._discarded = False
        self._held = 0
        self._unwanted = False

    @property
    def end(self) -> int:
        """How many bytes were written."""
        return self._end

    @property
    def start(self) -> int:
        """The lowest offset that can be read."""
        return max(self._floor, self._blocks[0].start)

    def size(self) -> Size:
        """What it takes."""
        with self._lock:
            files = [block for block in self._blocks if block.on_disk]
            on_disk = sum(block.length for block in files)
            return Size(on_disk, self._kept() - on_disk, len(files))

    def append(self, data: bytes, stream: int = OUT) -> None:
        """Add ``data`` at the end."""
        if not data:
            return
        with self._lock:
            self._note_stream(stream)
            if not self._discarded:
                self._store(data)
            self._end += len(data)
            if self._discarded:
                self._blocks[0].start = self._end

    def _note_stream(self, stream: int) -> None:
        if not self._end:
            self._first_stream = stream
        elif stream != self._stream:
            self._runs.append(self._end)
            if len(self._runs) > MAX_RUNS:
                self._forget_runs()
        self._stream = stream

    def _forget_runs(self) -> None:
        """Drop the older half of the notes, and the bytes they tell about."""
        half = MAX_RUNS // 2
        cut = self._runs[half - 1]
        # An even count, so that the streams go on taking turns as before.
        del self._runs[:half]
        while self._blocks[0].end <= cut and len(self._blocks) > 1:
            self._blocks.pop(0).close()
        self._floor = cut

    def _store(self, data: bytes) -> None:
        block = self._blocks[-1]
        if block.length + len(data) > self._block_size(block):
            block = self._next_block(block)
        while not self._appended(block, data):
            # A block that holds nothing would be taken for the end by who reads on.
            if not block.length:
                self._blocks.pop().close()
            block = self._new_block(self._end)
            self._blocks.append(block)
        self._trim()

    def _appended(self, block: _Block, data: bytes) -> bool:
        try:
            block.append(data)
        except OSError as error:
            self._pass_over(error)
            return False
        return True

    def _pass_over(self, error: OSError) -> None:
        """Go on in the next directory."""
        log.error("output can't be stored: %s", error.strerror)
        self._passed += 1

    def _block_size(self, block: _Block) -> int:
        return self._limit // BLOCKS if block.on_disk else self._memory

    def _next_block(self, block: _Block) -> _Block:
        """One to go on in; a file takes over what was in memory if that is all there is."""
        added = self._reused_block() or self._new_block(self._end)
        if added.on_disk and block.start == 0 and len(self._blocks) == 1 and not block.on_disk:
            added.start = 0
            if self._appended(added, block.read(0, block.length)):
                self._blocks[0] = added
                return added
            added.close()
            return self._next_block(block)
        self._blocks.append(added)
        return added

    def _reused_block(self) -> _Block | None:
        """The oldest one's file, if its bytes would be dropped next: making one takes longer."""
        if len(self._blocks) <= self._victim + 1 or not self._blocks[self._victim].on_disk:
            return None
        if self._kept() + self._limit // BLOCKS <= self._limit:
            return None
        block = self._blocks.pop(self._victim)
        block.start, block.length = self._end, 0
        return block

    def _new_block(self, start: int) -> _Block:
        while self._limit > BLOCKS * self._memory and not self._full:
            try:
                directory = self._directory(self._passed)
            except OSError as error:
                log.error("output can't be kept on disk: %s", error.strerror)
                self._full = BLOCKS * self._memory
                break
            try:
                with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
                    return _Block(start, os.dup(file.fileno()))
            except OSError as error:
                self._pass_over(error)
        return _Block(start, None)

    def _trim(self) -> None:
        while len(self._blocks) > self._victim + 1 and self._kept() > self._limit:
            self._blocks.pop(self._victim).close()
        if self._full:
            memory = [each for each in self._blocks[self._victim :] if not each.on_disk]
            while len(memory) > 1 and sum(each.length for each in memory) > self._full:
                self._blocks.remove(memory.pop(0))

    def _kept(self) -> int:
        return sum(block.length for block in self._blocks)

    def read(self, offset: int, size: int) -> Chunk:
        """Up to ``size`` bytes of one stream from ``offset`` on; no bytes at the end.

        Bytes no longer kept are skipped: the chunk's offset tells where it begins.
        """
        with self._lock:
            offset = max(offset, self._floor)
            while block := self._find(offset):
                offset = max(offset, block.start)
                index = bisect_right(self._runs, offset)
                ahead = self._runs[index] - offset if index < len(self._runs) else size
                if data := self._read(block, offset, min(size, ahead)):
                    return Chunk(offset, self._first_stream ^ (index & 1), data)
                offset = block.end
            return Chunk(max(offset, self._end), self._stream, b"")

    def _read(self, block: _Block, offset: int, size: int) -> bytes:
        try:
            return block.read(offset, size)
        except OSError as error:
            log.error("output can't be read: %s", error.strerror)
            return b""

    def _find(self, offset: int) -> _Block | None:
        """The block with ``offset`` in it, else the next one."""
        for block in reversed(self._blocks):
            if block.start <= offset < block.end:
                return block
            if block.start <= offset:
                break
        return next((each for each in self._blocks if each.length and each.end > offset), None)

    def chunks(self, offset: int = 0, size: int = 1 << 20) -> Iterator[Chunk]:
        """Everything from ``offset`` to what is the end now; if that is lost, a chunk of no bytes
        after it.
        """
        end = self._end
        while offset < end:
            chunk = self.read(offset, size)
            yield chunk
            offset = chunk.end

    @contextmanager
    def held(self) -> Iterator[None]:
        """Put off what :meth:`discard` does to the end of the block."""
        with self._lock:
            self._held += 1
        try:
            yield
        finally:
            with self._lock:
                self._held -= 1
                discarding = self._unwanted and not self._held
            if discarding:
                self.discard()

    def discard(self) -> None:
        """Give back everything, and keep nothing more; offsets go on."""
        with self._lock:
            if self._held:
                self._unwanted = True
                return
            for block in self._blocks:
                block.close()
            self._blocks = [_Block(self._end, None)]
            self._runs = array("Q")
            self._first_stream = self._stream
            self._discarded = True
