"""Storing many files from one multipart stream."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO

import msgspec

from toolbox.errors import BadRequest
from toolbox.errors import InsufficientStorage
from toolbox.errors import ToolboxError
from toolbox.http.envelope import envelope
from toolbox.multipart import Part
from toolbox.multipart import read_parts
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.response import JsonResponse
from toolbox_files.models import BulkUpload
from toolbox_files.models import FailedBulkUpload
from toolbox_files.models import StoredFile
from toolbox_files.write.bodies import receive_part

_FIELD = re.compile(r"files\[(.*)\]\.(path|file)", re.DOTALL)

OpenTarget = Callable[[str], AbstractContextManager[BinaryIO]]


def receive_bulk(
    body: Body, open_target: OpenTarget, request: RequestInfo
) -> BulkUpload | JsonResponse:
    """Store the files of a bulk upload: fields ``files[n].path`` and ``files[n].file``.

    ``n`` is any text; each path must precede its file, since files are stored as they arrive. A
    file that can't be stored doesn't stop the others. Returns the stored files, or a 400 or 507
    response with all errors.
    """
    receiver = _Receiver(open_target)
    if body.is_multipart():
        receiver.receive(body)
    else:
        receiver.errors.append(BadRequest("the body is not multipart/form-data"))
    # An early response would reset the connection of a client that is still sending.
    with contextlib.suppress(ToolboxError):
        body.drain()
    if receiver.errors:
        return _failure(receiver, request)
    return BulkUpload(receiver.files)


def _failure(receiver: _Receiver, request: RequestInfo) -> JsonResponse:
    messages = [error.message for error in receiver.errors]
    full = any(error.status == InsufficientStorage.status for error in receiver.errors)
    error = (InsufficientStorage if full else BadRequest)("; ".join(messages))
    failed = FailedBulkUpload(
        errors=messages,
        files=receiver.files,
        **msgspec.structs.asdict(envelope(error, request.path, request.method)),
    )
    return JsonResponse(failed, error.status)


class _Receiver:
    """The files stored so far, and the errors of those that could not be."""

    def __init__(self, open_target: OpenTarget) -> None:
        self.files: list[StoredFile] = []
        self.errors: list[ToolboxError] = []
        self._open_target = open_target
        self._paths: dict[str, str] = {}
        self._seen: set[str] = set()

    def receive(self, body: Body) -> None:
        try:
            for part in read_parts(body):
                # Tells a broken body from a file that can't be written.
                part.chunks = _guarded(part.chunks)
                try:
                    self._receive_field(part)
                except ToolboxError as error:
                    self.errors.append(error)
        except (_BodyBrokenError, ToolboxError) as error:
            reason = str(error).removeprefix("reading part: ")
            self.errors.append(BadRequest(f"reading part: {reason}"))

    def _receive_field(self, part: Part) -> None:
        match = _FIELD.fullmatch(part.name)
        if match is None:
            return
        index, kind = match[1], match[2]
        if kind == "path":
            self._paths[index] = part.text().strip()
        elif index not in self._paths:
            raise BadRequest(f"file[{index}]: its path is missing")
        elif not self._paths[index]:
            raise BadRequest(f"file[{index}]: empty path")
        elif index in self._seen:
            raise BadRequest(f"file[{index}]: repeated")
        else:
            # Even if it fails: a second file of that index would be ambiguous.
            self._seen.add(index)
            self._store(self._paths[index], part)

    def _store(self, path: str, part: Part) -> None:
        try:
            with self._open_target(path) as file:
                size = receive_part(part, file)
        except ToolboxError as error:
            # The same class, for its status and code.
            raise type(error)(f"{path}: {error.message}") from error
        self.files.append(StoredFile(path, size))


class _BodyBrokenError(Exception):
    """The body can't be read any further, which fails the whole upload, not one file."""


def _guarded(chunks: Iterator[memoryview]) -> Iterator[memoryview]:
    try:
        yield from chunks
    except ToolboxError as error:
        raise _BodyBrokenError(error.message) from error
