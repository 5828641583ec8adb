"""What the service and its helpers say to each other: MessagePack, each with its length ahead."""

from __future__ import annotations

import struct
from typing import IO

import msgspec

import toolbox.errors
import toolbox_git.errors
from toolbox.errors import ToolboxError

STARTED = b"\x01"
"""What a helper sends when it has taken a task; before that it may be given to another."""

_LENGTH = struct.Struct(">I")


class Task(msgspec.Struct, frozen=True):
    """An operation for a helper."""

    operation: str
    base: str
    """Where relative paths start."""
    environment: dict[str, str]
    body: msgspec.Raw
    target: str = ""
    """Where to clone to."""
    stall_timeout: float = 60.0


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it. ``error`` is the name of a ToolboxError, or empty."""

    error: str = ""
    message: str = ""
    detail: str = ""
    """For the log, if the error is unexpected."""
    result: msgspec.Raw = msgspec.Raw(b"\xc0")


def frame(message: Task | Answer) -> bytes:
    """A message as it is sent."""
    data = msgspec.msgpack.encode(message)
    return _LENGTH.pack(len(data)) + data


def length(data: bytes) -> int | None:
    """The length of the message that begins with ``data``, None if that isn't known yet."""
    return _LENGTH.unpack_from(data)[0] if len(data) >= _LENGTH.size else None


def unframe(data: bytes) -> Answer:
    """The answer in a complete frame."""
    return msgspec.msgpack.decode(data[_LENGTH.size :], type=Answer)


def read_task(stream: IO[bytes]) -> Task | None:
    """The next task, None at the end of the stream."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    return msgspec.msgpack.decode(stream.read(_LENGTH.unpack(head)[0]), type=Task)


def error_named(name: str, message: str) -> ToolboxError:
    """The error an answer tells of."""
    kind = getattr(toolbox_git.errors, name, None) or getattr(toolbox.errors, name)
    error = kind(message)
    assert isinstance(error, ToolboxError)
    return error
