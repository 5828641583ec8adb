"""Multipart bodies (RFC 7578, RFC 2046), read part by part as they arrive and written part by part.

The reader searches one buffer that the connection is read into and hands out views of it: nothing
is copied, nothing is spooled. It takes what the RFC says, so lines end with CRLF.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from collections.abc import Iterator
from typing import TYPE_CHECKING

from werkzeug.datastructures import Headers
from werkzeug.http import parse_options_header

from toolbox.errors import BadRequest
from toolbox.request import CHUNK
from toolbox.request import MAX_FIELD
from toolbox.request import Part
from toolbox.request import only

if TYPE_CHECKING:
    from toolbox.request import Body

_MAX_BOUNDARY = 1024
"""Bytes; RFC 2046 allows 70, and some clients don't care."""

_AFTER_MARK = re.compile(rb"--|[ \t]{0,128}(?=\r\n)")
"""What makes a boundary of a line that begins like one: the end of all, or the end of the line."""

_MAYBE_AFTER_MARK = re.compile(rb"-|[ \t]{0,128}\r?")
"""The beginning of that, where the rest is still to come."""


_PARAMETER = re.compile(r""";[ \t]*([^\s;="]+)[ \t]*=(?:[ \t]*"(?:[^"\\]|\\.)*+")?""")


def read_parts(body: Body) -> Iterator[Part]:
    """See :meth:`toolbox.request.Body.parts`."""
    media_type, options = parse_parameters(body.content_type)
    boundary = options.get("boundary", "").encode("latin-1", "replace")
    if media_type != "multipart/form-data" or not 0 < len(boundary) <= _MAX_BOUNDARY:
        raise BadRequest("the body is not multipart/form-data with a boundary")
    reader = _Reader(body, boundary)
    for _ in reader.content():
        pass  # What stands before the first boundary means nothing.
    while not reader.ended:
        part = _make_part(reader.headers())
        part.chunks = reader.content()
        yield part
        for _ in part.chunks:
            pass


def parse_parameters(header: str) -> tuple[str, dict[str, str]]:
    """A media type or disposition and its parameters; names in lower case, as they have none
    (RFC 9110, 8.3.1).

    Raises BadRequest for a parameter that is there twice.
    """
    names = [name.lower() for name in _PARAMETER.findall(header)]
    for name in names:
        only("malformed multipart body", name, [each for each in names if each == name])
    kind, options = parse_options_header(header)
    return kind.lower(), options


class _Reader:
    """A window onto the body: ``buffer[start:end]`` is read and not yet handed out."""

    def __init__(self, body: Body, boundary: bytes) -> None:
        self.ended = False
        """Whether the last boundary has been passed."""
        self._body = body
        self._mark = b"\r\n--" + boundary
        self._buffer = bytearray(CHUNK)
        self._view = memoryview(self._buffer)
        # The first boundary may be the first line: let it look like the others.
        self._buffer[:2] = b"\r\n"
        self._start, self._end = 0, 2

    def content(self) -> Iterator[memoryview]:
        """What comes before the next boundary, which is consumed."""
        seen = self._start
        while True:
            found = self._buffer.find(self._mark, seen, self._end)
            after = found + len(self._mark)
            if found < 0:
                # The last bytes may be the beginning of a boundary.
                stop = seen = max(self._start, self._end - len(self._mark) + 1)
            elif match := _AFTER_MARK.match(self._buffer, after, self._end):
                if found > self._start:
                    yield self._view[self._start : found]
                self.ended = match[0] == b"--"
                self._start = match.end()
                return
            elif _MAYBE_AFTER_MARK.fullmatch(self._buffer, after, self._end):
                stop = seen = found
            else:
                seen = found + 1
                continue
            if stop > self._start:
                yield self._view[self._start : stop]
            self._start = stop
            seen -= self._fill()

    def headers(self) -> bytes:
        """The header lines after a boundary, which are consumed with the empty line at the end."""
        seen = self._start
        while (found := self._buffer.find(b"\r\n\r\n", seen, self._end)) < 0:
            if self._end - self._start > MAX_FIELD:
                raise BadRequest("malformed multipart body: the headers of a part are too long")
            seen = max(self._start, self._end - 3)
            seen -= self._fill()
        lines = bytes(self._view[self._start + 2 : max(found, self._start + 2)])
        self._start = found + 4
        return lines

    def _fill(self) -> int:
        """Read more; the number of bytes that what is there has moved to the front."""
        moved = self._start
        if moved:
            left = self._end - moved
            self._buffer[:left] = self._buffer[moved : self._end]
            self._start, self._end = 0, left
        count = self._body.readinto(self._view[self._end :])
        if not count:
            raise BadRequest("reading part: the multipart body ends early")
        self._end += count
        return moved


def _make_part(lines: bytes) -> Part:
    headers = Headers()
    unfolded = re.sub(r"\r\n(?=[ \t])", "", lines.decode("utf-8", "replace"))
    for line in unfolded.split("\r\n") if unfolded else ():
        name, colon, value = line.partition(":")
        if not colon:
            raise BadRequest("malformed multipart body: a header of a part has no colon")
        try:
            headers.add(name.strip(), value.strip())
        except ValueError:
            raise BadRequest("malformed multipart body: a line break in a header") from None
    dispositions = headers.getlist("Content-Disposition")
    kind, options = parse_parameters(dispositions[0] if len(dispositions) == 1 else "")
    if kind != "form-data":
        raise BadRequest("malformed multipart body: a part has no Content-Disposition: form-data")
    return Part(options.get("name", ""), options.get("filename"), headers)


def new_boundary() -> str:
    """A boundary that no content can hold but by guessing 128 random bits."""
    return f"toolbox-{secrets.token_hex(16)}"


def write_parts(boundary: str, parts: Iterable[tuple[Headers, Iterable[bytes]]]) -> Iterator[bytes]:
    """The bytes of a multipart body. An error while a part is read ends it without the closing
    boundary, so that the client sees it was cut.
    """
    mark = f"--{boundary}".encode()
    for headers, content in parts:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        yield mark + b"\r\n" + lines.encode("latin-1") + b"\r\n"
        yield from content
        yield b"\r\n"
    yield mark + b"--\r\n"
