"""Byte ranges of a file (RFC 9110, 14): parsing, and responses with several."""

from __future__ import annotations

import errno
import re
import secrets
from collections.abc import Iterator
from typing import BinaryIO

from toolbox.errors import RangeNotSatisfiable
from toolbox.http.connection import CHUNK

MAX_RANGES = 32
"""Maximum ranges of one request; with more, the whole file is sent."""

_UNIT = re.compile(r"[ \t]*bytes[ \t]*=(.*)", re.IGNORECASE | re.DOTALL)
_SPEC = re.compile(r"(\d{0,18})\d*-(\d{0,18})\d*", re.ASCII)

Span = tuple[int, int]
"""The offset of the first byte, and the one after the last byte."""


def parse_ranges(header: str | None, size: int) -> list[Span] | None:
    """Return the requested spans of a file of ``size`` bytes, or None for the whole file.

    An invalid header is ignored (14.2). Adjacent and overlapping spans are joined. Raises
    RangeNotSatisfiable if no span lies in the file.
    """
    match = _UNIT.fullmatch(header or "")
    specs = [spec.strip(" \t") for spec in match[1].split(",")] if match else []
    found = [_SPEC.fullmatch(spec) for spec in specs if spec]
    if not found or len(found) > MAX_RANGES or not all(map(_is_valid, found)):
        return None
    if not size and any(spec and not spec[1] and int(spec[2]) for spec in found):
        return None  # A suffix of an empty file is the whole; no Content-Range can express that.
    spans = [_span(spec[1], spec[2], size) for spec in found if spec]
    spans = [(start, min(stop, size)) for start, stop in spans if start < min(stop, size)]
    if not spans:
        raise RangeNotSatisfiable(
            f"the file has {size} bytes", {"Content-Range": f"bytes */{size}"}
        )
    return _joined(spans)


def _is_valid(match: re.Match[str] | None) -> bool:
    if match is None or match[0] == "-":
        return False
    first, last = match[0].split("-")
    return not (first and last) or int(match[1]) <= int(match[2])


def _span(first: str, last: str, size: int) -> Span:
    if not first:
        return max(0, size - int(last)), size
    return int(first), int(last) + 1 if last else size


def _joined(spans: list[Span]) -> list[Span]:
    if len(spans) == 1:
        return spans
    # Overlapping ranges are a way to make a server send far more than the file (RFC 9110, 17.15).
    joined: list[Span] = []
    for start, stop in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(stop, joined[-1][1])
        else:
            joined.append((start, stop))
    return joined


class ByteRanges:
    """Several spans of ``file`` as a ``multipart/byteranges`` body (14.6), to be iterated once."""

    def __init__(self, file: BinaryIO, spans: list[Span], size: int, content_type: str) -> None:
        # Random, so that no file can contain it on purpose.
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/byteranges; boundary={boundary}"
        self._file = file
        self._parts = [
            (
                f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\n"
                f"Content-Range: bytes {start}-{stop - 1}/{size}\r\n\r\n".encode("latin-1"),
                (start, stop),
            )
            for start, stop in spans
        ]
        self._end = f"\r\n--{boundary}--\r\n".encode()
        self.length = len(self._end) + sum(
            len(head) + stop - start for head, (start, stop) in self._parts
        )

    def __iter__(self) -> Iterator[bytes]:
        for head, (start, stop) in self._parts:
            yield head
            self._file.seek(start)
            while start < stop and (data := self._file.read(min(CHUNK, stop - start))):
                start += len(data)
                yield data
            if start < stop:
                raise BrokenPipeError(errno.EPIPE, "the file was truncated while it was sent")
        yield self._end

    def close(self) -> None:
        """Close the file."""
        self._file.close()
