"""Multipart bodies (RFC 7578, RFC 2046), read part by part as they arrive and written part by part.

The reader searches one buffer that the connection is read into and hands out views of it: nothing
is copied, nothing is spooled. It is as strict as the RFC: lines end with CRLF.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from collections.abc import Iterator

from werkzeug.datastructures import Headers
from werkzeug.http import parse_options_header

from toolbox.errors import BadRequest
from toolbox.http.decoding import only
from toolbox.request import CHUNK
from toolbox.request import Body

MAX_FIELD = 64 * 1024
"""Bytes of the headers of one part, and of a text field."""

_MAX_BOUNDARY = 1024
"""Bytes; RFC 2046 allows 70, but some clients take more."""

_AFTER_MARK = re.compile(rb"--|[ \t]{0,128}(?=\r\n)")
"""The rest of a boundary line: ``--`` for the end of the body, or the end of the line."""

_MAYBE_AFTER_MARK = re.compile(rb"-|[ \t]{0,128}\r?")
"""The beginning of that, of which more may come."""


# What nearly all clients send, where nothing is to be interpreted: no "\\" or "%" in a name. Each
# takes 1 us, where parsing by all rules takes 8 to 13.
_PLAIN_TYPE = re.compile(r"multipart/form-data; ?boundary=([\w-]+)", re.ASCII)
_PLAIN_HEADERS = re.compile(
    r'Content-Disposition: form-data; name="([^"\\%\r\n]*)"(?:; filename="([^"\\%\r\n]*)")?'
    r"(?:\r\nContent-Type: [\w+./; =-]*)?",
    re.IGNORECASE | re.ASCII,
)

# The possessive *+ keeps a long value without a closing quote from taking quadratic time.
_PARAMETER = re.compile(r""";[ \t]*([^\s;="]+)[ \t]*=(?:[ \t]*"(?:[^"\\]|\\.)*+")?""")


class Part:
    """One part of a multipart body."""

    def __init__(self, name: str, filename: str | None) -> None:
        self.name = name
        self.filename = filename
        self.chunks: Iterator[memoryview] = iter(())
        """The content; each view is valid until the next is requested."""

    def __iter__(self) -> Iterator[memoryview]:
        return self.chunks

    def text(self, limit: int = MAX_FIELD) -> str:
        """Return the part as UTF-8 text. Raises BadRequest if it is over ``limit`` bytes."""
        data = bytearray()
        for chunk in self.chunks:
            data += chunk
            if len(data) > limit:
                raise BadRequest(f"the field {self.name!r} is over {limit} bytes")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            raise BadRequest(f"the field {self.name!r} is not valid UTF-8") from None


def read_parts(body: Body) -> Iterator[Part]:
    """Yield the parts of a ``multipart/form-data`` body (RFC 7578) as they arrive.

    Each part must be read before the next is asked for; what is left of it is skipped.
    Raises BadRequest for a body that isn't multipart, is malformed or ends early.
    """
    reader = _Reader(body, _boundary(body.content_type))
    for _ in reader.content():
        pass  # The preamble is to be ignored (RFC 2046, 5.1.1).
    while not reader.ended:
        part = _make_part(reader.headers())
        part.chunks = reader.content()
        yield part
        for _ in part.chunks:
            pass


def _boundary(content_type: str) -> bytes:
    if plain := _PLAIN_TYPE.fullmatch(content_type):
        media_type, boundary = "multipart/form-data", plain[1].encode()
    else:
        media_type, options = parse_parameters(content_type)
        boundary = options.get("boundary", "").encode("latin-1", "replace")
    if media_type != "multipart/form-data" or not 0 < len(boundary) <= _MAX_BOUNDARY:
        raise BadRequest("the body is not multipart/form-data with a boundary")
    return boundary


def parse_parameters(header: str) -> tuple[str, dict[str, str]]:
    """Return a media type or disposition and its parameters, both with names in lower case
    (RFC 9110, 8.3.1).

    Raises BadRequest for a parameter that is given twice.
    """
    names = [name.lower() for name in _PARAMETER.findall(header)]
    for name in names:
        only("malformed multipart body", name, [other for other in names if other == name])
    kind, options = parse_options_header(header)
    return kind.lower(), options


class _Reader:
    """A window on the body: ``buffer[start:end]`` is read and not yet handed out."""

    def __init__(self, body: Body, boundary: bytes) -> None:
        self.ended = False
        """True once the last boundary has been passed."""
        self._body = body
        self._mark = b"\r\n--" + boundary
        # No larger than the body with that line's start: 1 MiB takes 11 us, and more to touch.
        self._buffer = bytearray(CHUNK if body.length is None else min(CHUNK, body.length + 2))
        self._view = memoryview(self._buffer)
        # The first boundary may be the first line: make it look like the others.
        self._buffer[:2] = b"\r\n"
        self._start, self._end = 0, 2

    def content(self) -> Iterator[memoryview]:
        """Yield the content up to the next boundary, and consume that."""
        seen = self._start
        while True:
            found = self._buffer.find(self._mark, seen, self._end)
            after = found + len(self._mark)
            if found < 0:
                # The last bytes may be the beginning of a boundary: keep them.
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
        """Return the header lines after a boundary; consume them and the empty line."""
        seen = self._start
        while (found := self._buffer.find(b"\r\n\r\n", seen, self._end)) < 0:
            if self._end - self._start > MAX_FIELD:
                raise BadRequest("malformed multipart body: the headers of a part are too long")
            # The end that is looked for may be split between two reads.
            seen = max(self._start, self._end - 3)
            seen -= self._fill()
        lines = bytes(self._view[self._start + 2 : max(found, self._start + 2)])
        self._start = found + 4
        return lines

    def _fill(self) -> int:
        """Read more; return the number of bytes by which the window has moved to the front."""
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
    # Browsers send file names as raw UTF-8 (RFC 7578, 5.1).
    text = lines.decode("utf-8", "replace")
    if plain := _PLAIN_HEADERS.fullmatch(text):
        return Part(plain[1], plain[2])
    return _interpret(text)


def _interpret(text: str) -> Part:
    """Return the part with the header lines ``text``, by all rules."""
    dispositions = []
    # Folded lines are obsolete in HTTP (RFC 9112, 5.2), but allowed in MIME.
    unfolded = re.sub(r"\r\n(?=[ \t])", "", text)
    for line in unfolded.split("\r\n") if unfolded else ():
        name, colon, value = line.partition(":")
        if not colon:
            raise BadRequest("malformed multipart body: a header of a part has no colon")
        value = value.strip()
        if "\r" in value or "\n" in value:
            raise BadRequest("malformed multipart body: a line break in a header")
        if name.strip().lower() == "content-disposition":
            dispositions.append(value)
    kind, options = parse_parameters(dispositions[0] if len(dispositions) == 1 else "")
    if kind != "form-data":
        raise BadRequest("malformed multipart body: a part has no Content-Disposition: form-data")
    return Part(options.get("name", ""), options.get("filename"))


def new_boundary() -> str:
    """Return a boundary of 128 random bits, which no content contains."""
    return f"toolbox-{secrets.token_hex(16)}"


def write_parts(boundary: str, parts: Iterable[tuple[Headers, Iterable[bytes]]]) -> Iterator[bytes]:
    """Yield the bytes of a multipart body. An error while a part is read ends it without the
    closing boundary, so that the client sees that it was cut off.
    """
    mark = f"--{boundary}".encode()
    for headers, content in parts:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        yield mark + b"\r\n" + lines.encode("latin-1") + b"\r\n"
        yield from content
        yield b"\r\n"
    yield mark + b"--\r\n"
