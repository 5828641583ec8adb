"""Responses: JSON, files with ranges, streams and multipart.

An operation returns a plain value for JSON, or one of the classes here.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any
from typing import BinaryIO
from wsgiref.util import FileWrapper

import msgspec
from werkzeug.datastructures import Headers
from werkzeug.http import generate_etag
from werkzeug.wrappers import Response

from toolbox.errors import BadRequest
from toolbox.errors import ToolboxError
from toolbox.http.client_versions import encoder
from toolbox.http.conditions import is_known
from toolbox.http.conditions import range_holds
from toolbox.http.dates import http_date
from toolbox.http.ranges import ByteRanges
from toolbox.http.ranges import Span
from toolbox.http.ranges import parse_ranges
from toolbox.http.reply import OperationReply
from toolbox.request import CHUNK

SMALL = 16 * 1024
"""Bytes of a file that is read at once: ``sendfile`` takes six calls more, and makes the whole
request take a third more CPU time.
"""

JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"


class JsonResponse(msgspec.Struct, frozen=True):
    """A JSON response with its own status or headers."""

    value: Any = None
    status: int | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class TextResponse(msgspec.Struct, frozen=True):
    """Plain text, or any other content that fits into memory."""

    content: str | bytes
    content_type: str = TEXT
    status: int | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class StreamResponse(msgspec.Struct, frozen=True):
    """A body made while it is sent. ``close()`` of the iterable, if any, is always called."""

    chunks: Iterable[bytes]
    content_type: str = "application/octet-stream"
    status: int | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class FileResponse(msgspec.Struct, frozen=True):
    """A regular file, whole or a range of it, with conditional requests (RFC 9110, 13 and 14).

    ``file`` is open for reading, unbuffered, and is closed when the response is sent.
    """

    file: BinaryIO
    content_type: str = "application/octet-stream"
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class MultipartResponse(msgspec.Struct, frozen=True):
    """Several parts as ``multipart/form-data``, each with headers and content."""

    parts: Iterable[tuple[Headers, Iterable[bytes]]]


def respond(value: Any, status: int, environ: dict[str, Any]) -> Response:
    """Return the WSGI response for the value that an operation returned."""
    if value is None:
        return OperationReply(status=status)
    if isinstance(value, Response):
        return value
    if isinstance(value, FileResponse):
        return _respond_file(value, environ)
    if isinstance(value, TextResponse | StreamResponse):
        content = value.content if isinstance(value, TextResponse) else value.chunks
        return OperationReply(
            content, value.status or status, value.headers, content_type=value.content_type
        )
    if isinstance(value, MultipartResponse):
        return _respond_multipart(value, status)
    if isinstance(value, JsonResponse):
        if value.value is None:
            return OperationReply(status=value.status or status, headers=value.headers)
        return _respond_json(value.value, value.status or status, value.headers, environ)
    return _respond_json(value, status, {}, environ)


def _respond_json(
    value: Any, status: int, headers: dict[str, str], environ: dict[str, Any]
) -> OperationReply:
    return OperationReply(encoder(environ)(value), status, headers, content_type=JSON)


def _respond_multipart(response: MultipartResponse, status: int) -> OperationReply:
    from toolbox.multipart import new_boundary
    from toolbox.multipart import write_parts

    boundary = new_boundary()
    return OperationReply(
        write_parts(boundary, response.parts),
        status,
        content_type=f"multipart/form-data; boundary={boundary}",
    )


def file_etag(info: os.stat_result) -> str:
    """Return a strong validator: it changes with size, modification time (ns) or inode."""
    return generate_etag(f"{info.st_ino}-{info.st_size}-{info.st_mtime_ns}".encode())


def _respond_file(response: FileResponse, environ: dict[str, Any]) -> OperationReply:
    # Of the open file, not of its path: that may be another file by now.
    info = os.fstat(response.file.fileno())
    if not stat.S_ISREG(info.st_mode):
        response.file.close()
        raise BadRequest("not a regular file")
    etag = file_etag(info)
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": f'"{etag}"',
        "Last-Modified": http_date(info.st_mtime),
        **response.headers,
    }
    try:
        if is_known(environ, etag, info.st_mtime):
            response.file.close()
            return OperationReply(status=304, headers=headers)
        spans = _spans(environ, info, etag)
    except ToolboxError:
        response.file.close()
        raise
    if spans and len(spans) > 1:
        return _respond_ranges(response, spans, info.st_size, headers)
    start, stop = spans[0] if spans else (0, info.st_size)
    if spans:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{info.st_size}"
    headers["Content-Length"] = str(stop - start)
    return OperationReply(
        _file_body(response.file, start, stop - start, environ),
        206 if spans else 200,
        _as_headers({"Content-Type": response.content_type, **headers}),
        direct_passthrough=True,
    )


def _as_headers(headers: dict[str, str]) -> Headers:
    """Return what ``Headers(headers)`` would, in a third of its time."""
    made = Headers()
    made[:] = headers.items()
    return made


def _spans(environ: dict[str, Any], info: os.stat_result, etag: str) -> list[Span] | None:
    """Return the ranges requested, None for the whole. Only GET has them (RFC 9110, 14.2)."""
    requested = environ.get("HTTP_RANGE")
    if not requested or environ["REQUEST_METHOD"] != "GET":
        return None
    return (
        parse_ranges(requested, info.st_size) if range_holds(environ, etag, info.st_mtime) else None
    )


def _respond_ranges(
    response: FileResponse, spans: list[Span], size: int, headers: dict[str, str]
) -> OperationReply:
    body = ByteRanges(response.file, spans, size, response.content_type)
    return OperationReply(
        body,
        206,
        {**headers, "Content-Length": str(body.length)},
        content_type=body.content_type,
        direct_passthrough=True,
    )


def _file_body(file: BinaryIO, start: int, length: int, environ: dict[str, Any]) -> Iterable[bytes]:
    """Return ``length`` bytes from the offset ``start``, which the server sends with ``sendfile``
    unless they are few.
    """
    if length <= SMALL and (content := _read_small(file, start, length)) is not None:
        return [content]
    # sendfile(2) begins at the file's offset.
    file.seek(start)
    wrapper = environ.get("wsgi.file_wrapper")
    if wrapper is not None and length:
        wrapped: Iterable[bytes] = wrapper(file, CHUNK)
        return wrapped
    return _LimitedFile(file, length)


def _read_small(file: BinaryIO, start: int, length: int) -> bytes | None:
    """Return ``length`` bytes and close the file; None if it can't be read or is shorter."""
    try:
        content = os.pread(file.fileno(), length, start)
    except OSError:
        return None
    if len(content) < length:
        return None
    file.close()
    return content


class _LimitedFile(FileWrapper):
    """``length`` bytes of a file, for servers without their own file wrapper."""

    def __init__(self, file: BinaryIO, length: int) -> None:
        super().__init__(file, CHUNK)
        self._left = length

    def __iter__(self) -> Iterator[bytes]:  # type: ignore[override]
        while self._left > 0:
            data = self.filelike.read(min(CHUNK, self._left))
            if not data:
                # The promised length can't be sent any more: only a broken connection shows that.
                raise BrokenPipeError(errno.EPIPE, "the file was truncated while it was sent")
            self._left -= len(data)
            yield data
