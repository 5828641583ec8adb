"""Multipart bodies, read part by part as they arrive and written part by part.

Parsing is Werkzeug's sans-I/O decoder, fed with large blocks; nothing is spooled.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from collections.abc import Iterator
from typing import TYPE_CHECKING

from werkzeug.datastructures import Headers
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data
from werkzeug.sansio.multipart import Epilogue
from werkzeug.sansio.multipart import Event
from werkzeug.sansio.multipart import Field
from werkzeug.sansio.multipart import File
from werkzeug.sansio.multipart import MultipartDecoder
from werkzeug.sansio.multipart import NeedData
from werkzeug.sansio.multipart import Preamble

from toolbox.errors import BadRequest
from toolbox.request import CHUNK
from toolbox.request import MAX_FIELD
from toolbox.request import Part

if TYPE_CHECKING:
    from toolbox.request import Body


def read_parts(body: Body) -> Iterator[Part]:
    """See :meth:`toolbox.request.Body.parts`."""
    events = _events(body)
    for event in events:
        if isinstance(event, Field | File):
            filename = event.filename if isinstance(event, File) else None
            part = Part(event.name or "", filename, event.headers)
            part.chunks = _chunks(events)
            yield part
            for _ in part.chunks:
                pass


def _chunks(events: Iterator[Event]) -> Iterator[bytes | bytearray]:
    for event in events:
        if isinstance(event, Data):
            if event.data:
                yield event.data
            if not event.more_data:
                return


def _events(body: Body) -> Iterator[Event]:
    media_type, options = parse_options_header(body.content_type)
    boundary = options.get("boundary", "")
    if media_type != "multipart/form-data" or not boundary:
        raise BadRequest("the body is not multipart/form-data with a boundary")
    decoder = MultipartDecoder(
        boundary.encode("latin-1", "replace"), max_form_memory_size=None, max_parts=None
    )
    while True:
        try:
            event = decoder.next_event()
        except ValueError as error:
            raise BadRequest(f"malformed multipart body: {error}") from None
        if isinstance(event, Epilogue):
            return
        if isinstance(event, NeedData):
            _feed(decoder, body)
        elif not isinstance(event, Preamble):
            yield event


def _feed(decoder: MultipartDecoder, body: Body) -> None:
    if len(decoder.buffer) > MAX_FIELD + CHUNK:
        # Between parts the decoder keeps everything until it has seen whole headers.
        raise BadRequest("malformed multipart body: the headers of a part are too long")
    data = body.read(CHUNK)
    if not data:
        raise BadRequest("reading part: the multipart body ends early")
    decoder.receive_data(data)


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
