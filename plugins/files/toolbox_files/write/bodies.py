"""Storing a request's body in a file: the raw body or one multipart field."""

from __future__ import annotations

from io import FileIO
from typing import BinaryIO

from toolbox.atomic.writing import Sink
from toolbox.atomic.writing import write_all
from toolbox.errors import BadRequest
from toolbox.multipart import Part
from toolbox.multipart import read_parts
from toolbox.request import CHUNK
from toolbox.request import Body
from toolbox_files.write.splicing import splice


def receive_body(body: Body, file: BinaryIO) -> int:
    """Store the multipart field ``file``, or a body that isn't multipart; return its bytes."""
    return receive_field(body, file) if body.is_multipart() else receive_raw(body, file)


def receive_raw(body: Body, file: Sink) -> int:
    """Store the body unchanged; return the number of bytes."""
    total = splice(body, file) if isinstance(file, FileIO) else 0
    # One buffer for all reads: large uploads allocate nothing. Small ones don't have 1 MiB zeroed,
    # which would take as long as all else that is done for them.
    left = CHUNK if body.length is None else body.length - total
    buffer = memoryview(bytearray(min(CHUNK, left)))
    while count := body.readinto(buffer):
        write_all(file, buffer[:count])
        total += count
    return total


def receive_field(body: Body, file: BinaryIO) -> int:
    """Store the multipart field ``file``; return the number of bytes.

    Raises BadRequest if the field is missing or repeated. The whole body is read, so that a
    malformed or truncated one changes nothing.
    """
    total = None
    for part in read_parts(body):
        # Other fields are skipped, as multipart/form-data allows.
        if part.name != "file":
            continue
        if total is not None:
            raise BadRequest("the multipart field 'file' is repeated")
        total = receive_part(part, file)
    if total is None:
        raise BadRequest("the multipart field 'file' is missing")
    return total


def receive_part(part: Part, file: BinaryIO) -> int:
    """Store the content of one multipart field; return the number of bytes."""
    total = 0
    for chunk in part:
        write_all(file, chunk)
        total += len(chunk)
    return total
