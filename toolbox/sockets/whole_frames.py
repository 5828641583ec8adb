"""Frames that hold a whole message (RFC 6455, 5.2), made and read without a protocol's state.

wsproto takes 60 calls to read a typed character, and copies what is sent four times.
"""

from __future__ import annotations

import struct

from wsproto.connection import Connection

TEXT = 0x81
BINARY = 0x82
"""First bytes of frames: the opcode, and FIN."""

MASKED = 0x80
MASK = 4
"""Flag in the second byte, and bytes of the mask that follows."""

SHORT = 125
"""Bytes of a payload whose length is in the second byte."""


def whole_frame(message: str | bytes) -> bytes:
    """Return a message as one frame from a server."""
    text = isinstance(message, str)
    payload = message.encode() if isinstance(message, str) else message
    first, size = TEXT if text else BINARY, len(payload)
    if size <= SHORT:
        return bytes((first, size)) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


def short_message(data: bytes) -> str | bytes | None:
    """Return the message if ``data`` is one frame from a client with all of a short one, or None:
    that is for a protocol to judge.
    """
    size = len(data) - 2 - MASK
    if not 0 <= size <= SHORT or data[1] != MASKED | size or data[0] not in (TEXT, BINARY):
        return None
    mask = (data[2:6] * (SHORT // MASK + 1))[:size]
    payload = (int.from_bytes(data[6:]) ^ int.from_bytes(mask)).to_bytes(size)
    if data[0] == BINARY:
        return payload
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return None


def is_between_messages(connection: Connection) -> bool:
    """Report whether the connection waits for the first byte of a message. It has no public means
    to tell.
    """
    protocol = connection._proto  # noqa: SLF001
    frames, messages = protocol._frame_decoder, protocol._message_decoder  # noqa: SLF001
    return frames.header is None and not len(frames.buffer) and messages.opcode is None
