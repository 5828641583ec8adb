"""Reading numbered lines of a text file, in files and lines of any size."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from collections.abc import Iterator
from itertools import chain

import msgspec

from toolbox.errors import RequestTimeout
from toolbox_files.errors import BinaryFile
from toolbox_files.helpers.lines import SNIFFED
from toolbox_files.helpers.lines import numbered
from toolbox_files.page_models import LinesPage
from toolbox_files.page_models import LinesQuery
from toolbox_files.page_models import NumberedLine
from toolbox_files.page_models import Truncated

BLOCK = 1024 * 1024
"""Bytes read at once."""

COUNTED = 256 * 1024 * 1024
"""Bytes after a page that are read, at most, to count the lines of the whole file."""


class LinePlace(msgspec.Struct, frozen=True, array_like=True):
    """The begin of a page: a line, and its offset in bytes in the file of that identity."""

    line: int
    offset: int = 0
    identity: tuple[int, ...] = ()


class _OutOfTime(Exception):
    """The time for this page is up."""


class LineReader:
    """Reads one page of lines of the regular file open as ``fd``. Raises BinaryFile."""

    def __init__(self, fd: int, query: LinesQuery, disconnected: Callable[[], bool]) -> None:
        self._fd = fd
        self._query = query
        self._disconnected = disconnected
        self._deadline = time.monotonic() + query.seconds
        info = os.fstat(fd)
        self._size = info.st_size
        self._identity = (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns)
        if b"\0" in os.pread(fd, SNIFFED, 0):
            raise BinaryFile("a binary file has no lines")
        self._line, self._offset = 1, 0
        self._lines: list[NumberedLine] = []
        self._endings: set[bytes] = set()

    def read(self, place: LinePlace) -> tuple[LinesPage, LinePlace | None]:
        """Return the page that begins at ``place``, and the place of the next one.

        Raises OSError, RequestTimeout.
        """
        # In a file that has changed, only the line's number means anything.
        if place.identity == self._identity:
            self._line, self._offset = place.line, place.offset
            os.lseek(self._fd, place.offset, os.SEEK_SET)
        truncated: Truncated = ""
        try:
            rest = self._find(place.line)
            if rest is not None:
                truncated = self._collect(rest)
        except _OutOfTime:
            truncated = "time"
        page = LinesPage(
            lines=self._lines,
            truncated=truncated,
            crlf=self._endings - {b""} == {b"\r\n"},
            total=self._total(),
            final_newline=None if truncated or not self._lines else b"" not in self._endings,
        )
        # A page of no lines would be followed by the same one for ever.
        if not truncated or not self._lines:
            return page, None
        return page, LinePlace(self._line, self._offset, self._identity)

    def _find(self, wanted: int) -> bytes | None:
        """Read on to the line ``wanted``; return what was read of it, None if there is none."""
        if self._line == wanted:
            return b""
        for block in self._blocks():
            count = block.count(b"\n")
            if self._line + count >= wanted:
                rest = block.split(b"\n", wanted - self._line)[-1]
                self._line = wanted
                self._offset += len(block) - len(rest)
                return rest
            self._line += count
            self._offset += len(block)
        return None

    def _collect(self, rest: bytes) -> Truncated:
        """Collect lines from the present one on; return the budget that ended that."""
        query, size = self._query, 0
        # A character has four bytes at most.
        blocks = chain([rest], self._blocks())
        for number, content, length, newline in numbered(blocks, 4 * query.width, self._line):
            if len(self._lines) == query.limit:
                return "limit"
            ending = b""
            if newline:
                returned = content.endswith(b"\r") and length == len(content) + 1
                content, ending = (content[:-1], b"\r\n") if returned else (content, b"\n")
            text = content.decode("utf-8", "replace")
            cut = len(text) > query.width or length > len(content) + len(ending)
            line = NumberedLine(line=number, content=text[: query.width], cut=cut)
            size += len(msgspec.json.encode(line)) + 1
            if self._lines and size > query.bytes:
                return "bytes"
            self._lines.append(line)
            self._endings.add(ending)
            self._line, self._offset = number + 1, self._offset + length
            # Not by reading on: the next line may have gigabytes.
            if len(self._lines) == query.limit and self._offset < self._size:
                return "limit"
        return ""

    def _total(self) -> int | None:
        """Return the number of lines of the file, from here on; None if that takes long."""
        left = self._size - self._offset
        if left > COUNTED:
            return None
        os.lseek(self._fd, self._offset, os.SEEK_SET)
        count, last = self._line - 1, b"\n"
        try:
            for block in self._blocks():
                count += block.count(b"\n")
                last = block[-1:]
        except _OutOfTime:
            return None
        # When the end is behind, what was read before it counts, whatever it ends with.
        if not left and self._size:
            last = os.pread(self._fd, 1, self._size - 1) if not self._lines else b"\n"
        return count + (last != b"\n")

    def _blocks(self) -> Iterator[bytes]:
        while block := os.read(self._fd, BLOCK):
            yield block
            if time.monotonic() > self._deadline:
                raise _OutOfTime
            if self._disconnected():
                raise RequestTimeout("client disconnected")
