"""Opening files to be sent: one, or many as the parts of one answer."""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
from werkzeug.datastructures import Headers

from toolbox.errors import ToolboxError
from toolbox.errors import envelope
from toolbox.overwriting import is_kernels
from toolbox.request import CHUNK
from toolbox.writing import write_all
from toolbox_files.disposition import content_disposition
from toolbox_files.errors import FileReadFailed
from toolbox_files.errors import InvalidFilePath
from toolbox_files.errors import file_errors
from toolbox_files.names import absolute

_PAGE = 65536
"""The largest page: files of sysfs claim to have one."""

_WANTS_SHA256 = re.compile(r"(?:^|,)[ \t]*sha-256[ \t]*=[ \t]*(?:[1-9]|10)[ \t]*(?:,|$)")
"""A preference of 0 means: not that one."""

_MAX_PSEUDO = 64 * 1024 * 1024

Part = tuple[Headers, Iterable[bytes]]


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading, unbuffered; links are followed.

    Never waits and never wakes a device. A file of the kernel's (``/proc``, ``/sys``), whose size
    isn't that of its content, is read at once. Raises FileNotFound, FileAccessDenied,
    InvalidFilePath for anything but a regular file, FileReadFailed.
    """
    with file_errors():
        _check_regular(path, path.stat().st_mode)
        # It may have become a FIFO since: opening one would wait for its other end.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        file = os.fdopen(fd, "rb", buffering=0)
        try:
            info = os.fstat(fd)
            _check_regular(path, info.st_mode)
            if info.st_blocks == 0 and info.st_size <= _PAGE:
                return _with_its_size(file, info, path)
        except BaseException:
            file.close()
            raise
        return file


def _with_its_size(file: BinaryIO, info: os.stat_result, path: Path) -> BinaryIO:
    """``file``, or a copy if its content hasn't the size that ``info`` tells."""
    content = bytearray()
    try:
        while len(content) < _MAX_PSEUDO and (block := file.read(_PAGE)):
            content += block
    except OSError as error:
        if isinstance(error, PermissionError) or not is_kernels(info):
            raise
        # /proc/self/mem begins with an address that nothing is at; others can't be read at all.
        reason = os.strerror(error.errno or errno.EIO)
        raise InvalidFilePath(f"can't be read as a file: {absolute(path)}: {reason}") from None
    if len(content) == info.st_size:
        file.seek(0)
        return file
    file.close()
    copy = _open_copy()
    write_all(copy, content)
    copy.seek(0)
    return copy


def _open_copy() -> BinaryIO:
    try:
        return os.fdopen(os.memfd_create("content"), "w+b", buffering=0)
    except OSError:  # The kernel, or a filter of its calls, has none.
        return tempfile.TemporaryFile(buffering=0)


def _check_regular(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise InvalidFilePath(f"is a directory: {absolute(path)}")
    if not stat.S_ISREG(mode):
        raise InvalidFilePath(f"not a regular file: {absolute(path)}")


def repr_digest(file: BinaryIO, wanted: str) -> dict[str, str]:
    """The header ``Repr-Digest`` of a whole file, if ``wanted`` asks for SHA-256 (RFC 9530)."""
    if not _WANTS_SHA256.search(wanted):
        return {}
    try:
        with file_errors():
            digest = hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]
    except BaseException:
        file.close()
        raise
    return {"Repr-Digest": f"sha-256=:{base64.b64encode(digest).decode()}:"}


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
