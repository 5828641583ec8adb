"""Finding lines that contain a text, in files and lines of any size."""

from __future__ import annotations

import os
from collections.abc import Iterable
from collections.abc import Iterator

CHUNK = 1024 * 1024
"""Bytes of a file read at once."""

MAX_CONTENT = 1024 * 1024
"""Maximum bytes returned of a line; the rest of a longer line is searched, but not sent."""

SNIFFED = 512
"""Number of first bytes that are checked for a NUL, which makes a file binary."""


def matching_lines(path: str, pattern: bytes, buffer: bytearray) -> Iterable[tuple[int, bytes]]:
    """Yield number and content of each line that contains ``pattern``, without its line ending.

    Yields nothing for a binary or unreadable file. Takes little memory, however long the file or
    its lines: at most MAX_CONTENT bytes of a line are returned.
    """
    blocks = _begin(path, pattern, buffer)
    return () if blocks is None else _scan_lines(blocks, pattern)


def all_lines(path: str, pattern: bytes, buffer: bytearray) -> Iterable[tuple[int, bytes]]:
    """Yield number and content of every line of a file that contains ``pattern`` anywhere.

    As :func:`matching_lines` in the rest. A large file's lines may be yielded without a match.
    """
    blocks = _begin(path, pattern, buffer)
    return () if blocks is None else _all_lines(blocks)


def _all_lines(blocks: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    for number, content, length, newline in numbered(blocks, MAX_CONTENT):
        whole = length == len(content) + newline
        yield number, _without_return(content) if whole else content


Line = tuple[int, bytes, int, bool]
"""A line: its number from 1, the beginning of its content, its length in bytes with the newline,
and whether it ends with one.
"""


def numbered(blocks: Iterable[bytes], limit: int, number: int = 1) -> Iterator[Line]:
    """Yield the lines of ``blocks``, the first as ``number``, with ``limit`` bytes of each.

    A text that doesn't end with a newline ends with a line without one; what follows the last
    newline is a line only if it isn't empty.
    """
    begun = b""
    length = 0
    for block in blocks:
        *whole, rest = block.split(b"\n")
        for piece in whole:
            content = (begun + piece[:limit])[:limit] if length else piece[:limit]
            yield number, content, length + len(piece) + 1, True
            begun, length = b"", 0
            number += 1
        begun = (begun + rest[:limit])[:limit]
        length += len(rest)
    if length:
        yield number, begun, length, False


def _begin(path: str, pattern: bytes, buffer: bytearray) -> Iterator[bytes] | None:
    """Return the content of a text file that contains ``pattern`` or is larger than ``buffer``.

    For others, most of all files, it is None, which costs less than an iterator.
    """
    try:
        # It may have become a FIFO: don't wait for a writer.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    wanted = False
    try:
        size = os.readv(fd, [buffer])
        if buffer.find(b"\0", 0, min(size, SNIFFED)) >= 0:
            return None
        if size < len(buffer) and buffer.find(pattern, 0, size) < 0:
            if not os.readv(fd, [memoryview(buffer)[size:]]):
                return None  # The common case: a small file without a match.
            os.lseek(fd, size, os.SEEK_SET)
        wanted = True
        return _blocks(fd, bytes(memoryview(buffer)[:size]))
    except OSError:
        return None
    finally:
        if not wanted:
            os.close(fd)


def _blocks(fd: int, block: bytes) -> Iterator[bytes]:
    """Yield ``block`` and the rest of an open file, which is closed."""
    try:
        while block:
            yield block
            block = os.read(fd, CHUNK)
    except OSError:
        return
    finally:
        os.close(fd)


def _scan_lines(blocks: Iterator[bytes], pattern: bytes) -> Iterator[tuple[int, bytes]]:
    number = 1
    line = _LongLine(pattern)
    for block in blocks:
        first, newline, rest = block.partition(b"\n")
        line.add(first)
        if newline:
            if line.matches():
                yield number, line.content()
            number += 1
            line = _LongLine(pattern)
            # All complete lines of this block at once; then the beginning of the last.
            whole = rest.rfind(b"\n") + 1
            for found, content in _whole_lines(rest, whole, pattern):
                yield number + found, content
            number += rest.count(b"\n", 0, whole)
            line.add(rest[whole:])
    if line.matches():
        yield number, line.content()


def _whole_lines(data: bytes, end: int, pattern: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number, from 0, and content of matching lines in ``data[:end]``, all complete."""
    number = counted = offset = 0
    while (offset := data.find(pattern, offset, end)) >= 0:
        number += data.count(b"\n", counted, offset)
        start = data.rfind(b"\n", 0, offset) + 1
        counted = data.index(b"\n", offset)
        content = _without_return(data[start:counted])
        if pattern in content:
            yield number, content[:MAX_CONTENT]
        offset = counted


class _LongLine:
    """A line that is read in pieces."""

    def __init__(self, pattern: bytes) -> None:
        self._pattern = pattern
        self._shown = bytearray()
        self._tail = b""
        self._found = False
        self._length = 0

    def add(self, piece: bytes) -> None:
        data = self._tail + piece
        # A match that includes the final carriage return doesn't count: it may be stripped.
        limit = len(data) - (self._pattern.endswith(b"\r") and data.endswith(self._pattern))
        self._found = self._found or data.find(self._pattern, 0, limit) >= 0
        self._tail = data[max(0, len(data) - len(self._pattern)) :]
        if len(self._shown) <= MAX_CONTENT:
            self._shown += piece[: MAX_CONTENT + 1 - len(self._shown)]
        self._length += len(piece)

    def matches(self) -> bool:
        return self._found

    def content(self) -> bytes:
        shown = bytes(self._shown)
        if len(shown) == self._length:
            shown = _without_return(shown)
        return shown[:MAX_CONTENT]


def _without_return(line: bytes) -> bytes:
    return line[:-1] if line.endswith(b"\r") else line
