"""Sending many files as the parts of one multipart response."""

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from typing import BinaryIO

import msgspec
from werkzeug.datastructures import Headers

from toolbox.errors import ToolboxError
from toolbox.http.envelope import envelope
from toolbox.request import CHUNK
from toolbox_files.errors import FileReadFailed
from toolbox_files.read.disposition import content_disposition

Part = tuple[Headers, Iterable[bytes]]


def read_many(paths: list[str], open_file: Callable[[str], BinaryIO]) -> Iterator[Part]:
    """Yield a part for each of ``paths``, in order: its content, or the error it met.

    The names in the headers are the paths as requested: clients look them up by that.
    """
    for name in paths:
        try:
            file = open_file(name)
        except ToolboxError as error:
            yield _error_part(name, error)
            continue
        with file:
            yield _file_part(name, file)


def _file_part(name: str, file: BinaryIO) -> Part:
    size = os.fstat(file.fileno()).st_size
    headers = Headers(
        {
            "Content-Disposition": content_disposition("form-data", name, "file"),
            "Content-Type": _media_type(name),
            "Content-Length": str(size),
        }
    )
    return headers, _exactly(file, size)


def _error_part(name: str, error: ToolboxError) -> Part:
    headers = Headers(
        {
            "Content-Disposition": content_disposition("form-data", name, "error"),
            "Content-Type": "application/json; charset=utf-8",
        }
    )
    return headers, (msgspec.json.encode(envelope(error, name, "POST")),)


def _exactly(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield ``size`` bytes, as announced: no more if the file grows, an error if it shrinks."""
    left = size
    while left:
        data = file.read(min(CHUNK, left))
        if not data:
            raise FileReadFailed("the file shrank while it was sent")
        left -= len(data)
        yield data


def _media_type(name: str) -> str:
    # Imported late: it reads the system's tables of types.
    import mimetypes

    return mimetypes.guess_type(name, strict=False)[0] or "application/octet-stream"
