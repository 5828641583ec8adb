"""The frames in which messages of a stream are sent: a byte of flags, the length, the message."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from toolbox.request import Body
from toolbox_e2b.errors import Compressed
from toolbox_e2b.errors import Exhausted
from toolbox_e2b.errors import InvalidArgument

COMPRESSED = 0x01
END = 0x02
"""The flag of the last frame of a response, which has the error, if any, and no message."""

LONGEST = 4 * 1024 * 1024
"""Bytes of a message at most."""

_HEAD = struct.Struct(">BI")


def frame(message: bytes, flags: int = 0) -> bytes:
    """Return a message in its frame."""
    return _HEAD.pack(flags, len(message)) + message


def read_frames(body: Body) -> Iterator[bytes]:
    """Yield the messages of a request as they arrive.

    Raises InvalidArgument for a broken frame, Compressed, Exhausted for one that is too long, and
    what reading the body raises.
    """
    # The declared length is not believed: only what has arrived takes memory.
    buffer = bytearray()
    while data := body.read(64 * 1024):
        buffer += data
        while (message := _take(buffer)) is not None:
            yield message
    if buffer:
        raise InvalidArgument(f"the last frame is incomplete: {len(buffer)} bytes of it are there")


def _take(buffer: bytearray) -> bytes | None:
    """Remove the first frame from ``buffer``; return its message, None if it isn't complete."""
    if len(buffer) < _HEAD.size:
        return None
    flags, length = _HEAD.unpack_from(buffer)
    if flags & COMPRESSED:
        raise Compressed("compressed messages are not supported")
    # A client never ends its stream by a frame, as a server does.
    if flags:
        raise InvalidArgument(f"unknown flags of a frame: {flags:#04x}")
    if length > LONGEST:
        raise Exhausted(f"the message has {length} bytes; the limit is {LONGEST}")
    end = _HEAD.size + length
    if len(buffer) < end:
        return None
    message = bytes(buffer[_HEAD.size : end])
    del buffer[:end]
    return message
