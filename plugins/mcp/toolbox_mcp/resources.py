"""Files as resources: those in the working directory are listed, and any can be read."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from itertools import islice
from typing import Any
from urllib.parse import quote
from urllib.parse import unquote_to_bytes
from urllib.parse import urlsplit

from toolbox.errors import ContentTooLarge
from toolbox.errors import NotFound
from toolbox.filenames import decode_name
from toolbox.filenames import encode_name
from toolbox_mcp import content
from toolbox_mcp.media import mime_type
from toolbox_mcp.media import read_up_to

PAGE = 500
"""Resources of one page."""

TEMPLATE = {
    "uriTemplate": "file:///{+path}",
    "name": "file",
    "title": "File of the sandbox",
    "description": "A file by its absolute path, as text if it is UTF-8, otherwise as base64.",
}


def uri_of(path: str) -> str:
    """Return the URI of a file, by its absolute path as clients are shown it."""
    return f"file://{quote(encode_name(path))}"


def path_of(uri: str) -> str:
    """Return the path that a URI stands for. Raises ValueError if it is none of a file here."""
    parts = urlsplit(uri)
    name = unquote_to_bytes(parts.path)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not name:
        raise ValueError(f"not the URI of a file: {uri[:300]!r}")
    return decode_name(name)


def list_files(files: Any, start: int) -> tuple[list[dict[str, Any]], int | None]:
    """Return a page of the files in the working directory, and the start of the next one."""
    found = list(islice(_files(files), start, start + PAGE + 1))
    page = [
        {
            "uri": uri_of(info.path),
            "name": info.name,
            "mimeType": mime_type(info.name),
            "size": info.size,
            "annotations": {"lastModified": info.modified_at},
        }
        for info in found[:PAGE]
    ]
    return page, start + PAGE if len(found) > PAGE else None


def _files(files: Any) -> Iterator[Any]:
    return (info for info in files.list(".", 1) if not info.is_dir)


def read_file(files: Any, uri: str, limit: int) -> dict[str, Any]:
    """Return the content of a file. Raises ValueError, and what the backend raises."""
    path = path_of(uri)
    if files.info(path).is_dir:
        raise NotFound(f"{path} is a directory")
    with files.open(path) as file:
        data = read_up_to(file, limit + 1)
    if len(data) > limit:
        raise ContentTooLarge(f"{path} is larger than {content.size_text(limit)}")
    found = {"uri": uri, "mimeType": mime_type(path)}
    try:
        return {**found, "text": data.decode()}
    except UnicodeDecodeError:
        return {**found, "blob": base64.b64encode(data).decode("ascii")}
