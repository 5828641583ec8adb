"""The messages between the service and its workers: MessagePack, prefixed with the length."""

from __future__ import annotations

import struct
from typing import IO

import msgspec

import toolbox.errors
import toolbox_git.errors
from toolbox.errors import ToolboxError

STARTED = b"\x01"
"""Sent by a worker that has taken a task; until then another worker may get it."""

_LENGTH = struct.Struct(">I")


class Task(msgspec.Struct, frozen=True):
    """An operation for a worker."""

    operation: str
    base: str
    """The directory for relative paths."""
    environment: dict[str, str]
    body: msgspec.Raw
    target: str = ""
    """The directory to clone into."""
    stall_timeout: float = 60.0


class TaskResult(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a task. ``error`` is the name of a ToolboxError; empty on success."""

    error: str = ""
    message: str = ""
    detail: str = ""
    """A traceback for the log, if the error is unexpected."""
    result: msgspec.Raw = msgspec.Raw(b"\xc0")


def frame(message: Task | TaskResult) -> bytes:
    """Return a message as bytes to send."""
    data = msgspec.msgpack.encode(message)
    return _LENGTH.pack(len(data)) + data


def length(data: bytes) -> int | None:
    """Return the length of the message that begins with ``data``; None if ``data`` is too short."""
    return _LENGTH.unpack_from(data)[0] if len(data) >= _LENGTH.size else None


def unframe(data: bytes) -> TaskResult:
    """Return the result in a complete frame."""
    return msgspec.msgpack.decode(data[_LENGTH.size :], type=TaskResult)


def read_task(stream: IO[bytes]) -> Task | None:
    """Return the next task; None at the end of the stream."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    return msgspec.msgpack.decode(stream.read(_LENGTH.unpack(head)[0]), type=Task)


def error_named(name: str, message: str) -> ToolboxError:
    """Return the error that a result names."""
    kind = getattr(toolbox_git.errors, name, None) or getattr(toolbox.errors, name)
    error = kind(message)
    assert isinstance(error, ToolboxError)
    return error
