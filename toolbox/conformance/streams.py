"""Responses that are streams: messages in Connect's frames, and events."""

from __future__ import annotations

import http.client
import json
import struct
from typing import Any

FRAMES = "application/connect+json"
EVENTS = "text/event-stream"

END = 0x02
"""The flag of the last frame (https://connectrpc.com/docs/protocol)."""

_HEAD = struct.Struct(">BI")


def frame(message: bytes) -> bytes:
    """Return a message in its frame."""
    return _HEAD.pack(0, len(message)) + message


def read(response: http.client.HTTPResponse, first: int, limit: int) -> bytes:
    """Return the content of a response, of a stream its ``first`` frames unless that is 0.

    Raises ValueError if it is longer than ``limit`` bytes.
    """
    if not first:
        content = response.read(limit + 1)
    else:
        # Nothing tells when the next one comes: it may be never.
        content = b"".join(_read_frame(response, limit) for _ in range(first))
    if len(content) > limit:
        raise ValueError(f"the response is over {limit} bytes")
    return content


def _read_frame(response: http.client.HTTPResponse, limit: int) -> bytes:
    head = response.read(_HEAD.size)
    length = _HEAD.unpack(head)[1] if len(head) == _HEAD.size else 0
    return head + response.read(min(length, limit))


def messages(content: bytes) -> list[Any]:
    """Return the messages of a stream; the end of it is ``{"end": "ok"}``, or the error's code.

    Raises ValueError.
    """
    found = []
    while content:
        length = _HEAD.unpack_from(content)[1] if len(content) >= _HEAD.size else 0
        end = _HEAD.size + length
        if len(content) < end:
            raise ValueError(f"a frame is incomplete: {content[:100]!r}")
        message = json.loads(content[_HEAD.size : end])
        found.append({"end": _code(message)} if content[0] & END else message)
        content = content[end:]
    return found


def _code(end: Any) -> Any:
    error = end.get("error") if isinstance(end, dict) else end
    return error.get("code") if isinstance(error, dict) else error or "ok"


def events(content: bytes) -> list[Any]:
    """Return the data of all events, each of which is JSON on one line. Raises ValueError."""
    lines = content.decode().splitlines()
    return [json.loads(line.partition(":")[2]) for line in lines if line.startswith("data:")]
