"""Writing answers: JSON, files with ranges, streams and multipart.

An operation returns a plain value for JSON, or one of the classes here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import BinaryIO
from wsgiref.util import FileWrapper

import msgspec
from werkzeug.datastructures import Headers
from werkzeug.datastructures import Range
from werkzeug.http import generate_etag
from werkzeug.http import http_date
from werkzeug.http import is_resource_modified
from werkzeug.http import parse_if_range_header
from werkzeug.http import parse_range_header
from werkzeug.wrappers import Response

from toolbox.errors import BadRequest
from toolbox.errors import PreconditionFailed
from toolbox.errors import RangeNotSatisfiable
from toolbox.request import CHUNK

JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    """A JSON answer with a status or headers of its own."""

    value: Any = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TextAnswer:
    """Plain text, or any other content that fits into memory."""

    content: str | bytes
    content_type: str = TEXT
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StreamAnswer:
    """A body made while it is sent. ``close()`` of the iterable, if any, is always called."""

    chunks: Iterable[bytes]
    content_type: str = "application/octet-stream"
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FileAnswer:
    """A regular file, whole or a range of it, with conditional requests (RFC 9110, 13 and 14).

    ``file`` is open for reading, unbuffered, and is closed when the answer is sent.
    """

    file: BinaryIO
    content_type: str = "application/octet-stream"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MultipartAnswer:
    """Several parts as ``multipart/form-data``, each headers and content."""

    parts: Iterable[tuple[Headers, Iterable[bytes]]]


def respond(value: Any, status: int, environ: dict[str, Any]) -> Response:
    """The WSGI response for what an operation returned."""
    if value is None:
        return Response(status=status)
    if isinstance(value, Response):
        return value
    if isinstance(value, FileAnswer):
        return _respond_file(value, environ)
    if isinstance(value, TextAnswer | StreamAnswer):
        content = value.content if isinstance(value, TextAnswer) else value.chunks
        return Response(
            content, value.status or status, value.headers, content_type=value.content_type
        )
    if isinstance(value, MultipartAnswer):
        return _respond_multipart(value, status)
    if isinstance(value, Answer):
        if value.value is None:
            return Response(status=value.status or status, headers=value.headers)
        return _respond_json(value.value, value.status or status, value.headers)
    return _respond_json(value, status, {})


def _respond_json(value: Any, status: int, headers: dict[str, str]) -> Response:
    return Response(msgspec.json.encode(value), status, headers, content_type=JSON)


def _respond_multipart(answer: MultipartAnswer, status: int) -> Response:
    from toolbox.multipart import new_boundary
    from toolbox.multipart import write_parts

    boundary = new_boundary()
    return Response(
        write_parts(boundary, answer.parts),
        status,
        content_type=f"multipart/form-data; boundary={boundary}",
    )


def file_etag(info: os.stat_result) -> str:
    """A strong validator: it changes with size, modification time (ns) or inode."""
    return generate_etag(f"{info.st_ino}-{info.st_size}-{info.st_mtime_ns}".encode())


def _respond_file(answer: FileAnswer, environ: dict[str, Any]) -> Response:
    info = os.fstat(answer.file.fileno())
    if not stat.S_ISREG(info.st_mode):
        answer.file.close()
        raise BadRequest("not a regular file")
    etag = file_etag(info)
    modified = http_date(info.st_mtime)
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": f'"{etag}"',
        "Last-Modified": modified,
        **answer.headers,
    }
    if not is_resource_modified(environ, etag, last_modified=modified):
        answer.file.close()
        if environ.get("HTTP_IF_MATCH"):
            raise PreconditionFailed("the file has changed")
        return Response(status=304, headers=headers)
    try:
        span = _span(environ, info.st_size, etag, modified)
    except RangeNotSatisfiable:
        answer.file.close()
        raise
    start, stop = span or (0, info.st_size)
    if span:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{info.st_size}"
    headers["Content-Length"] = str(stop - start)
    answer.file.seek(start)
    return Response(
        _file_body(answer.file, stop - start, environ),
        206 if span else 200,
        headers,
        content_type=answer.content_type,
        direct_passthrough=True,
    )


def _span(environ: dict[str, Any], size: int, etag: str, modified: str) -> tuple[int, int] | None:
    """The bytes asked for, ``None`` for all: no range, several (RFC 9110, 14.2 lets a server
    ignore them), or one whose ``If-Range`` no longer holds.
    """
    wanted: Range | None = parse_range_header(environ.get("HTTP_RANGE"))
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1:
        return None
    condition = parse_if_range_header(environ.get("HTTP_IF_RANGE"))
    if condition.etag is not None and condition.etag != etag:
        return None
    if condition.date is not None and http_date(condition.date) != modified:
        return None
    span = wanted.range_for_length(size)
    if span is None or span[1] is None:
        raise RangeNotSatisfiable(
            f"the file has {size} bytes", {"Content-Range": f"bytes */{size}"}
        )
    return span[0], span[1]


def _file_body(file: BinaryIO, length: int, environ: dict[str, Any]) -> Iterable[bytes]:
    """What the server sends with ``sendfile``, from the current offset for the content length."""
    wrapper = environ.get("wsgi.file_wrapper")
    if wrapper is not None and length:
        wrapped: Iterable[bytes] = wrapper(file, CHUNK)
        return wrapped
    return _LimitedFile(file, length)


class _LimitedFile(FileWrapper):
    """``length`` bytes of a file, for servers without a file wrapper of their own."""

    def __init__(self, file: BinaryIO, length: int) -> None:
        super().__init__(file, CHUNK)
        self._left = length

    def __iter__(self) -> Iterator[bytes]:  # type: ignore[override]
        while self._left > 0:
            data = self.filelike.read(min(CHUNK, self._left))
            if not data:
                return
            self._left -= len(data)
            yield data
