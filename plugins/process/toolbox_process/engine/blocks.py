"""Storage of a spool: blocks in memory first, then on disk, within a bound. Not thread-safe."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

BLOCKS = 16
"""Number of blocks a bound is divided into: dropping one is how the bound is kept."""

RECENT = 64 * 1024
"""Bytes that, appended at once, are also kept in memory for those who read them at once."""

log = logging.getLogger("toolbox")


class Size(NamedTuple):
    """Bytes in files, bytes in memory, and number of open files."""

    on_disk: int = 0
    in_memory: int = 0
    files: int = 0


class BlockContents(NamedTuple):
    """A block as it is handed over: its bytes are ``data`` or, with ``fd``, in a file."""

    start: int
    length: int
    fd: int | None
    data: bytes


class BlocksStanding(NamedTuple):
    """The blocks of a spool, and where the next one goes: see :class:`BlockList`."""

    blocks: list[BlockContents]
    passed: int
    memory_limit: int


class Block:
    """Consecutive bytes of the output, in an unnamed file or (``fd`` is None) in memory."""

    def __init__(self, start: int, fd: int | None) -> None:
        self.start = start
        self.length = 0
        self._fd = fd
        self._memory = bytearray()
        self._recent = b""

    @classmethod
    def resume(cls, contents: BlockContents) -> Block:
        """Return a block that was handed over, the owner of ``fd``."""
        block = cls(contents.start, contents.fd)
        block.length = contents.length
        block._memory += contents.data
        return block

    def standing(self) -> BlockContents:
        """Return it as it is handed over; the descriptor stays its own."""
        return BlockContents(self.start, self.length, self._fd, bytes(self._memory))

    @property
    def end(self) -> int:
        """Offset after the last byte."""
        return self.start + self.length

    @property
    def on_disk(self) -> bool:
        """True if the bytes are in a file."""
        return self._fd is not None

    def append(self, data: bytes | memoryview) -> None:
        """Add all of ``data``. Raises OSError, and then adds nothing."""
        if self._fd is None:
            self._memory += data
        else:
            view, position = memoryview(data), self.length
            while view:  # A disk that fills up takes a part first (write(2)).
                count = os.pwrite(self._fd, view, position)
                view, position = view[count:], position + count
            self._recent = bytes(data) if len(data) > RECENT else b""
        self.length += len(data)

    def forget_recent(self) -> None:
        """Let the file alone have what was added last."""
        self._recent = b""

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset`` on. Raises OSError."""
        position = offset - self.start
        size = min(size, self.length - position)
        if self._fd is None:
            return bytes(memoryview(self._memory)[position : position + size])
        # Followers want what has just been written: from the file, that is a tenth of the cost.
        recent = position - self.length + len(self._recent)
        if self._recent and recent >= 0:
            return self._recent[recent : recent + size]
        return os.pread(self._fd, size, position)

    def reuse(self, start: int) -> None:
        """Begin again at ``start``, and write over what the file has."""
        self.start, self.length = start, 0
        self.forget_recent()

    def close(self) -> None:
        """Close the file, which deletes it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __del__(self) -> None:
        self.close()


class BlockList:
    """The blocks of one spool, the oldest first.

    ``memory`` bytes stay in memory; beyond, blocks are unnamed files in ``directory(0)`` or, when
    that is full, in ``directory(1)`` and so on, until it raises OSError: then the last blocks stay
    in memory. More than about ``limit`` bytes are never kept. With ``keep_head`` the first block
    outlives the middle.
    """

    def __init__(
        self, memory: int, limit: int, directory: Callable[[int], Path], keep_head: bool
    ) -> None:
        self._memory = memory
        self._limit = limit
        self._directory = directory
        self._passed = 0  # Directories that failed.
        self._memory_limit = 0  # Bytes kept in memory once no directory has room; 0 until then.
        self._oldest = 1 if keep_head else 0  # Index of the block to drop next.
        self._blocks = [Block(0, None)]

    def standing(self) -> BlocksStanding:
        """Return what another list goes on with."""
        blocks = [block.standing() for block in self._blocks]
        return BlocksStanding(blocks, self._passed, self._memory_limit)

    def resume(self, standing: BlocksStanding) -> None:
        """Go on from there; before that, nothing has been stored."""
        self._blocks = [Block.resume(each) for each in standing.blocks]
        self._passed, self._memory_limit = standing.passed, standing.memory_limit

    @property
    def start(self) -> int:
        """Lowest offset kept."""
        return self._blocks[0].start

    def size(self) -> Size:
        """Return the resources in use."""
        files = [block for block in self._blocks if block.on_disk]
        on_disk = sum(block.length for block in files)
        return Size(on_disk, self._kept() - on_disk, len(files))

    def find(self, offset: int) -> Block | None:
        """Return the block that contains ``offset`` or, if it was dropped, the next one."""
        for block in reversed(self._blocks):
            if block.start <= offset < block.end:
                return block
            if block.start <= offset:
                break
        return next((block for block in self._blocks if block.length and block.end > offset), None)

    def append(self, data: bytes, offset: int) -> None:
        """Store ``data``, whose offset is the end of what was stored before."""
        block = self._blocks[-1]
        if block.length + len(data) > self._block_size(block):
            block = self._next_block(block, offset)
        while not self._stored(block, data):
            # An empty block would look like the end of the output to a reader.
            if not block.length:
                self._blocks.pop().close()
            block = self._new_block(offset)
            self._blocks.append(block)
        self._trim()

    def forget_recent(self) -> None:
        """Free the copy of what was appended last."""
        self._blocks[-1].forget_recent()

    def rebound(self, limit: int) -> None:
        """Keep about ``limit`` bytes from now on."""
        self._limit = limit
        self._trim()

    def drop_before(self, offset: int) -> None:
        """Drop the blocks that end at ``offset`` or earlier, but not the last one."""
        while self._blocks[0].end <= offset and len(self._blocks) > 1:
            self._blocks.pop(0).close()

    def clear(self, offset: int) -> None:
        """Drop everything; ``offset`` is the end of what was stored."""
        for block in self._blocks:
            block.close()
        self._blocks = [Block(offset, None)]

    def _stored(self, block: Block, data: bytes) -> bool:
        try:
            block.append(data)
        except OSError as error:
            self._pass_over(error)
            return False
        return True

    def _pass_over(self, error: OSError) -> None:
        """Use the next directory from now on."""
        log.error("output can't be stored: %s", error.strerror)
        self._passed += 1

    def _block_size(self, block: Block) -> int:
        return self._limit // BLOCKS if block.on_disk else self._memory

    def _next_block(self, block: Block, offset: int) -> Block:
        """Return the block to continue in; a first file takes over what was in memory."""
        added = self._reused_block(offset) or self._new_block(offset)
        if added.on_disk and block.start == 0 and len(self._blocks) == 1 and not block.on_disk:
            added.start = 0
            if self._stored(added, block.read(0, block.length)):
                self._blocks[0] = added
                return added
            added.close()
            return self._next_block(block, offset)
        self._blocks.append(added)
        return added

    def _reused_block(self, offset: int) -> Block | None:
        """Return the block that would be dropped next: making a new file takes longer."""
        if len(self._blocks) <= self._oldest + 1 or not self._blocks[self._oldest].on_disk:
            return None
        if self._kept() + self._limit // BLOCKS <= self._limit:
            return None
        block = self._blocks.pop(self._oldest)
        block.reuse(offset)
        return block

    def _new_block(self, start: int) -> Block:
        while self._limit > BLOCKS * self._memory and not self._memory_limit:
            try:
                directory = self._directory(self._passed)
            except OSError as error:
                log.error("output can't be kept on disk: %s", error.strerror)
                self._memory_limit = BLOCKS * self._memory
                break
            try:
                # No name, so that nothing is left behind even if the service is killed.
                with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
                    return Block(start, os.dup(file.fileno()))
            except OSError as error:
                self._pass_over(error)
        return Block(start, None)

    def _trim(self) -> None:
        while len(self._blocks) > self._oldest + 1 and self._kept() > self._limit:
            self._blocks.pop(self._oldest).close()
        if self._memory_limit:
            memory = [block for block in self._blocks[self._oldest :] if not block.on_disk]
            while len(memory) > 1 and sum(block.length for block in memory) > self._memory_limit:
                self._blocks.remove(memory.pop(0))

    def _kept(self) -> int:
        return sum(block.length for block in self._blocks)
