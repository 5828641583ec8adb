"""Reading files for results, and the types that their names stand for."""

from __future__ import annotations

import mimetypes
from typing import BinaryIO

CHUNK = 1 << 20


def read_up_to(file: BinaryIO, limit: int) -> bytes:
    """Return the next ``limit`` bytes, or those up to the end of the file."""
    parts: list[bytes] = []
    while limit > 0 and (data := file.read(min(limit, CHUNK))):
        parts.append(data)
        limit -= len(data)
    return b"".join(parts)


def mime_type(path: str) -> str:
    """Return the type that a file's name stands for."""
    return mimetypes.guess_type(path, strict=False)[0] or "application/octet-stream"
