"""Content blocks of results, and texts that fit into a result."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from toolbox_mcp.tool import ToolResult

Block = dict[str, Any]


def text(content: str) -> Block:
    """Return a block of text."""
    return {"type": "text", "text": content}


def media(data: bytes, mime_type: str, uri: str) -> Block:
    """Return a block for a file that isn't text: an image, a sound, or anything else."""
    encoded = base64.b64encode(data).decode("ascii")
    kind = mime_type.partition("/")[0]
    if kind in ("image", "audio"):
        return {"type": kind, "data": encoded, "mimeType": mime_type}
    resource = {"uri": uri, "mimeType": mime_type, "blob": encoded}
    return {"type": "resource", "resource": resource}


def structured(value: msgspec.Struct, shown: str) -> ToolResult:
    """Return a result with a structure, and the text that shows it."""
    return ToolResult(content=[text(shown)], structured=value)


def shortened(content: str, limit: int, hint: str) -> str:
    """Return a text of at most ``limit`` bytes and a note; ``hint`` says how to get the rest."""
    # Most texts: of at most four bytes a character.
    if len(content) * 4 <= limit:
        return content
    data = content.encode("utf-8", "replace")
    if len(data) <= limit:
        return content
    kept = data[:limit].decode("utf-8", "ignore")
    return f"{kept}\n[... {len(data) - limit} of {len(data)} bytes left out; {hint} ...]"


def size_text(size: int) -> str:
    """Return a size for people: ``1.50 KB``."""
    if size < 1024:
        return f"{size} B"
    value = float(size)
    for unit in ("KB", "MB", "GB"):
        value /= 1024
        if value < 1024:
            return f"{value:.2f} {unit}"
    return f"{value / 1024:.2f} TB"
