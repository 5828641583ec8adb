"""Lines that hold a text, in files of any size and lines of any length."""

from __future__ import annotations

import os
from collections.abc import Iterator

CHUNK = 1024 * 1024
"""Bytes of a file read at once."""

MAX_CONTENT = 1024 * 1024
"""Bytes of a line that are shown; the rest of a longer line is searched, but not sent."""

SNIFFED = 512
"""A NUL among that many first bytes makes a file binary."""


def matching_lines(path: str, pattern: bytes, buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Number and content of each line that holds ``pattern``, without its line ending.

    Nothing for a binary file or one that can't be read. Takes little memory, however long the
    file or its lines: at most MAX_CONTENT bytes of a line are given.
    """
    try:
        # It may be a FIFO by now: don't wait for its other end.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        size = os.readv(fd, [buffer])
        if buffer.find(b"\0", 0, min(size, SNIFFED)) >= 0:
            return
        if size < len(buffer) and buffer.find(pattern, 0, size) < 0:
            if not os.readv(fd, [memoryview(buffer)[size:]]):
                return  # The common case: a small file without it.
            os.lseek(fd, size, os.SEEK_SET)
        yield from _scan_lines(fd, bytes(memoryview(buffer)[:size]), pattern)
    except OSError:
        return
    finally:
        os.close(fd)


def _scan_lines(fd: int, block: bytes, pattern: bytes) -> Iterator[tuple[int, bytes]]:
    number = 1
    line = _LongLine(pattern)
    while block:
        first, newline, rest = block.partition(b"\n")
        line.add(first)
        if newline:
            if line.matches():
                yield number, line.content()
            number += 1
            line = _LongLine(pattern)
            # The lines that are whole in this block, at once; then the beginning of the last.
            whole = rest.rfind(b"\n") + 1
            for found, content in _whole_lines(rest, whole, pattern):
                yield number + found, content
            number += rest.count(b"\n", 0, whole)
            line.add(rest[whole:])
        block = os.read(fd, CHUNK)
    if line.matches():
        yield number, line.content()


def _whole_lines(data: bytes, end: int, pattern: bytes) -> Iterator[tuple[int, bytes]]:
    """Number from 0 and content of the lines in ``data[:end]``, which ends with a line."""
    number = counted = place = 0
    while (place := data.find(pattern, place, end)) >= 0:
        number += data.count(b"\n", counted, place)
        start = data.rfind(b"\n", 0, place) + 1
        counted = data.index(b"\n", place)
        content = _without_return(data[start:counted])
        if pattern in content:
            yield number, content[:MAX_CONTENT]
        place = counted


class _LongLine:
    """A line that comes in pieces."""

    def __init__(self, pattern: bytes) -> None:
        self._pattern = pattern
        self._shown = bytearray()
        self._tail = b""
        self._found = False
        self._length = 0

    def add(self, piece: bytes) -> None:
        data = self._tail + piece
        # A match that ends with the line's carriage return is none: the return may be stripped.
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
