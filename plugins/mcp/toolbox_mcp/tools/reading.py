"""Tools that read files."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Annotated
from typing import Any
from typing import BinaryIO
from typing import cast

import msgspec
from msgspec import Meta

from toolbox.errors import ToolboxError
from toolbox_mcp import content
from toolbox_mcp.media import mime_type
from toolbox_mcp.media import read_up_to
from toolbox_mcp.resources import uri_of
from toolbox_mcp.tool import Call
from toolbox_mcp.tool import ToolFailure
from toolbox_mcp.tool import ToolResult
from toolbox_mcp.tools.arguments import Arguments
from toolbox_mcp.tools.arguments import Count
from toolbox_mcp.tools.arguments import OnePath
from toolbox_mcp.tools.arguments import Path

BLOCK = 64 * 1024
"""Bytes read at once."""

SNIFFED = 8 * 1024
"""Bytes at the beginning in which a NUL shows a file that isn't text."""

MAX_FILES = 100
"""Files of one call at most."""


class ReadText(Arguments, frozen=True, kw_only=True):
    """A file, or some of its lines."""

    path: Path
    head: Annotated[Count, Meta(description="Only this many lines.")] | None = None
    tail: Annotated[Count, Meta(description="Only this many lines at the end.")] | None = None
    start: Annotated[Count, Meta(description="First line to read, from 1.")] | None = None


class ReadMany(Arguments, frozen=True, kw_only=True):
    """Several files."""

    paths: Annotated[list[Path], Meta(min_length=1, max_length=MAX_FILES)]


def read_text_file(call: Call, arguments: ReadText) -> str:
    """Return the text of a file."""
    if arguments.tail and (arguments.head or arguments.start):
        raise ToolFailure("tail can't be combined with head or start")
    limit = call.settings.max_text
    with call.backends["files"].open(arguments.path) as file:
        _check_text(file, arguments.path)
        if arguments.tail:
            return read_tail(file, arguments.tail, limit)
        if arguments.start or arguments.head:
            return _read_lines(file, arguments.start or 1, arguments.head, limit)
        return _read_whole(file, limit)


def _check_text(file: BinaryIO, path: str) -> None:
    # As grep(1) tells text from other files.
    if b"\0" in os.pread(file.fileno(), SNIFFED, 0):
        raise ToolFailure(f"{path} is not a text file; read_media_file reads it")


def _read_whole(file: BinaryIO, limit: int) -> str:
    # One byte more shows that there is more.
    data = read_up_to(file, limit + 1)
    if len(data) <= limit:
        return data.decode("utf-8", "replace")
    return _cut(data[:limit], 1)


def _cut(data: bytes, line: int) -> str:
    """Return a text that begins at a line of a file and is cut, with a note on how to go on."""
    end = data.rfind(b"\n") + 1
    if not end:
        text = data.decode("utf-8", "ignore")
        return f"{text}\n[... line {line} is longer than one result ...]"
    following = line + data.count(b"\n")
    text = data[:end].decode("utf-8", "replace")
    return f"{text}[... the file is longer; to go on, read from start={following} ...]"


def _read_lines(file: BinaryIO, start: int, count: int | None, limit: int) -> str:
    """Return lines from ``start`` on, at most ``count`` and at most ``limit`` bytes."""
    reader = io.BufferedReader(cast(io.RawIOBase, file), BLOCK)
    try:
        for _ in range(start - 1):
            if not _skip_line(reader):
                raise ToolFailure(f"the file has fewer than {start} lines")
        data = bytearray()
        line = start
        while (count is None or line < start + count) and (piece := reader.readline(limit + 1)):
            data += piece
            if len(data) > limit:
                return _cut(bytes(data[:limit]), start)
            line += 1
        return data.decode("utf-8", "replace")
    finally:
        reader.detach()  # The file is closed by its owner.


def _skip_line(reader: BinaryIO) -> bool:
    """Read one line, however long; return False at the end of the file."""
    found = False
    while piece := reader.readline(BLOCK):
        found = True
        if piece.endswith(b"\n"):
            break
    return found


def read_tail(file: BinaryIO, count: int, limit: int) -> str:
    """Return the last ``count`` lines of a file, or of them the last ``limit`` bytes."""
    position = os.fstat(file.fileno()).st_size
    data = b""
    # The newline that ends the last line separates it from none.
    while position and data[:-1].count(b"\n") < count and len(data) <= limit:
        step = min(BLOCK, position)
        position -= step
        data = os.pread(file.fileno(), step, position) + data
    lines = data.splitlines(keepends=True)[-count:]
    text = b"".join(lines)
    if len(text) <= limit:
        return text.decode("utf-8", "replace")
    return f"[... only the last {limit} bytes ...]\n{text[-limit:].decode('utf-8', 'ignore')}"


def read_multiple_files(call: Call, arguments: ReadMany) -> str:
    """Return the texts of several files; one that can't be read doesn't hinder the others."""
    shares = call.settings.max_text // len(arguments.paths)
    parts = [_one_of_many(call, path, shares) for path in arguments.paths]
    return "\n---\n".join(parts)


def _one_of_many(call: Call, path: str, limit: int) -> str:
    try:
        with call.backends["files"].open(path) as file:
            _check_text(file, path)
            return f"{path}:\n{_read_whole(file, limit)}\n"
    except (ToolboxError, ToolFailure, OSError) as error:
        return f"{path}: Error - {getattr(error, 'message', error)}"


def read_media_file(call: Call, arguments: OnePath) -> ToolResult:
    """Return an image, a sound or another file that isn't text."""
    data, kind = read_media(call, arguments.path)
    uri = uri_of(call.backends["files"].uploaded_file(arguments.path).path)
    return ToolResult(content=[content.media(data, kind, uri)])


def read_media(call: Call, path: str) -> tuple[bytes, str]:
    """Return the bytes of a file and its type. Raises ToolFailure for one that is too large."""
    limit = call.settings.max_media
    with call.backends["files"].open(path) as file:
        data = read_up_to(file, limit + 1)
    if len(data) > limit:
        raise ToolFailure(f"{path} is larger than {content.size_text(limit)}")
    return data, mime_type(path)


def json_lines(blocks: Iterator[bytes], call: Call) -> Iterator[Any]:
    """Yield the values of blocks of JSON lines, until nobody waits for them any more."""
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            yield msgspec.json.decode(line)
        if call.is_abandoned():
            return
