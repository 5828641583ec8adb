"""Receiving files: a raw body, one multipart field, or many fields in one stream."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO

import msgspec

from toolbox.errors import BadRequest
from toolbox.errors import ToolboxError
from toolbox.errors import envelope
from toolbox.request import CHUNK
from toolbox.request import Body
from toolbox.request import Part
from toolbox.request import RequestInfo
from toolbox.response import Answer
from toolbox.writing import Sink
from toolbox.writing import write_all
from toolbox_files.models import BulkUpload
from toolbox_files.models import FailedBulkUpload
from toolbox_files.models import StoredFile

_BULK_FIELD = re.compile(r"files\[(.*)\]\.(path|file)", re.DOTALL)

OpenTarget = Callable[[str], AbstractContextManager[BinaryIO]]


def receive_raw(body: Body, file: Sink) -> int:
    """Store the body itself; the count of bytes."""
    buffer = memoryview(bytearray(CHUNK))
    total = 0
    while count := body.readinto(buffer):
        write_all(file, buffer[:count])
        total += count
    return total


def receive_field(body: Body, file: BinaryIO) -> int:
    """Store the multipart field ``file``; the count of bytes. Raises BadRequest if it is absent.

    The whole body is read, so that one that turns out to be broken or cut changes nothing.
    """
    total = None
    for part in body.parts():
        if part.name != "file":
            continue
        if total is not None:
            raise BadRequest("the multipart field 'file' is there twice")
        total = _receive_part(part, file)
    if total is None:
        raise BadRequest("the multipart field 'file' is missing")
    return total


def _receive_part(part: Part, file: BinaryIO) -> int:
    total = 0
    for chunk in part:
        write_all(file, chunk)
        total += len(chunk)
    return total


class BulkReceiver:
    """Stores the files of a bulk upload: fields ``files[n].path`` and ``files[n].file``.

    ``n`` is any text; the path must come somewhere before its file, since files are stored as
    they arrive. ``files`` are those that were stored, ``errors`` what went wrong.
    """

    def __init__(self, open_target: OpenTarget) -> None:
        self.files: list[StoredFile] = []
        self.errors: list[ToolboxError] = []
        self._open_target = open_target
        self._paths: dict[str, str] = {}
        self._stored: set[str] = set()

    def receive(self, body: Body) -> None:
        """Take the whole body. A file that can't be stored doesn't stop the others."""
        if not body.is_multipart():
            self.errors.append(BadRequest("the body is not multipart/form-data"))
        else:
            self._receive_parts(body)
        # An early answer would reset the connection of a client that still sends.
        with contextlib.suppress(ToolboxError):
            body.drain()

    def _receive_parts(self, body: Body) -> None:
        try:
            for part in body.parts():
                part.chunks = _guarded(part.chunks)
                try:
                    self._take(part)
                except ToolboxError as error:
                    self.errors.append(error)
        except (_BodyBrokenError, ToolboxError) as error:
            reason = str(error).removeprefix("reading part: ")
            self.errors.append(BadRequest(f"reading part: {reason}"))

    def _take(self, part: Part) -> None:
        match = _BULK_FIELD.fullmatch(part.name)
        if match is None:
            return
        index, kind = match[1], match[2]
        if kind == "path":
            self._paths[index] = part.text().strip()
        elif index not in self._paths:
            raise BadRequest(f"file[{index}]: its path is missing")
        elif not self._paths[index]:
            raise BadRequest(f"file[{index}]: empty path")
        elif index in self._stored:
            raise BadRequest(f"file[{index}]: it is there twice")
        else:
            self._stored.add(index)
            self._store(self._paths[index], part)

    def _store(self, path: str, part: Part) -> None:
        try:
            with self._open_target(path) as file:
                size = _receive_part(part, file)
        except ToolboxError as error:
            raise type(error)(f"{path}: {error.message}") from error
        self.files.append(StoredFile(path, size))


class _BodyBrokenError(Exception):
    """The body can't be read any further: not one file's failure, but the end of all."""


def _guarded(chunks: Iterator[memoryview]) -> Iterator[memoryview]:
    try:
        yield from chunks
    except ToolboxError as error:
        raise _BodyBrokenError(error.message) from error


def receive_body(body: Body, file: BinaryIO) -> int:
    """Store the multipart field ``file``, or a body that isn't multipart; the count of bytes."""
    return receive_field(body, file) if body.is_multipart() else receive_raw(body, file)


def bulk_answer(receiver: BulkReceiver, request: RequestInfo) -> BulkUpload | Answer:
    """What a bulk upload is answered with."""
    if not receiver.errors:
        return BulkUpload(receiver.files)
    full = next((error for error in receiver.errors if error.status == 507), None)
    messages = [error.message for error in receiver.errors]
    shown = (type(full) if full else BadRequest)("; ".join(messages))
    failed = FailedBulkUpload(
        errors=messages,
        files=receiver.files,
        **msgspec.structs.asdict(envelope(shown, request.path, request.method)),
    )
    return Answer(failed, shown.status)
