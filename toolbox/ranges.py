"""Parts of a file (RFC 9110, 14): which are meant, and how several are sent."""

from __future__ import annotations

import errno
import re
import secrets
from collections.abc import Iterator
from typing import BinaryIO

from toolbox.errors import RangeNotSatisfiable
from toolbox.request import CHUNK

MOST = 32
"""Ranges of one request; of more the whole is sent."""

_UNIT = re.compile(r"[ \t]*bytes[ \t]*=(.*)", re.IGNORECASE | re.DOTALL)
_SPEC = re.compile(r"(\d{0,18})\d*-(\d{0,18})\d*", re.ASCII)

Span = tuple[int, int]
"""The first byte and the one after the last."""


def parse_ranges(header: str | None, size: int) -> list[Span] | None:
    """The spans of a file of ``size`` bytes that are meant; None for the whole.

    The whole is sent, too, where the header makes no sense (14.2). Spans that touch are one.
    Raises RangeNotSatisfiable if none lies in the file.
    """
    match = _UNIT.fullmatch(header or "")
    specs = [each.strip(" \t") for each in match[1].split(",")] if match else []
    found = [_SPEC.fullmatch(each) for each in specs if each]
    if not found or len(found) > MOST or not all(map(_is_right, found)):
        return None
    if not size and any(each and not each[1] and int(each[2]) for each in found):
        return None  # The last bytes of nothing are all of it, and no Content-Range can say so.
    spans = [_span(each[1], each[2], size) for each in found if each]
    spans = [(start, min(stop, size)) for start, stop in spans if start < min(stop, size)]
    if not spans:
        raise RangeNotSatisfiable(
            f"the file has {size} bytes", {"Content-Range": f"bytes */{size}"}
        )
    return _joined(spans)


def _is_right(match: re.Match[str] | None) -> bool:
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
    joined: list[Span] = []
    for start, stop in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(stop, joined[-1][1])
        else:
            joined.append((start, stop))
    return joined


class ByteRanges:
    """Several spans of ``file`` as ``multipart/byteranges`` (14.6), which is iterated once."""

    def __init__(self, file: BinaryIO, spans: list[Span], size: int, content_type: str) -> None:
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
                raise BrokenPipeError(errno.EPIPE, "the file became shorter while it was sent")
        yield self._end

    def close(self) -> None:
        """Close the file."""
        self._file.close()
