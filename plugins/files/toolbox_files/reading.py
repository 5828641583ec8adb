"""Opening files to be sent: one, or many as the parts of one answer."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
from werkzeug.datastructures import Headers

from toolbox.errors import ToolboxError
from toolbox.errors import envelope
from toolbox.request import CHUNK
from toolbox_files.disposition import content_disposition
from toolbox_files.errors import FileReadFailed
from toolbox_files.errors import InvalidFilePath
from toolbox_files.errors import file_errors
from toolbox_files.names import absolute

Part = tuple[Headers, Iterable[bytes]]


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading, unbuffered; links are followed.

    Never waits and never wakes a device. Raises FileNotFound, FileAccessDenied, InvalidFilePath
    for anything but a regular file.
    """
    with file_errors():
        _check_regular(path, path.stat().st_mode)
        # It may have become a FIFO since: opening one would wait for its other end.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        file = os.fdopen(fd, "rb", buffering=0)
        try:
            _check_regular(path, os.fstat(fd).st_mode)
        except BaseException:
            file.close()
            raise
        return file


def _check_regular(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise InvalidFilePath(f"is a directory: {absolute(path)}")
    if not stat.S_ISREG(mode):
        raise InvalidFilePath(f"not a regular file: {absolute(path)}")


def read_many(paths: list[str], open_file: Callable[[str], BinaryIO]) -> Iterator[Part]:
    """A part for each of ``paths``, in order: its content, or the error it met.

    The names in the headers are the paths as they were asked for: clients look them up by that.
    """
    for name in paths:
        try:
            file = open_file(name)
        except ToolboxError as error:
            yield _error_part(name, error)
            continue
        with file:
            size = os.fstat(file.fileno()).st_size
            headers = Headers(
                {
                    "Content-Disposition": content_disposition("form-data", name, "file"),
                    "Content-Type": _media_type(name),
                    "Content-Length": str(size),
                }
            )
            yield headers, _exactly(file, size)


def _error_part(name: str, error: ToolboxError) -> Part:
    headers = Headers(
        {
            "Content-Disposition": content_disposition("form-data", name, "error"),
            "Content-Type": "application/json; charset=utf-8",
        }
    )
    return headers, (msgspec.json.encode(envelope(error, name, "POST")),)


def _exactly(file: BinaryIO, size: int) -> Iterator[bytes]:
    """``size`` bytes, what was announced: not more if the file grows, an error if it shrinks."""
    left = size
    while left:
        data = file.read(min(CHUNK, left))
        if not data:
            raise FileReadFailed("the file became shorter while it was sent")
        left -= len(data)
        yield data


def _media_type(name: str) -> str:
    import mimetypes

    return mimetypes.guess_type(name, strict=False)[0] or "application/octet-stream"
