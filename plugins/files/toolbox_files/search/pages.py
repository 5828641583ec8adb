"""Responses with one page of a search."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from toolbox.errors import RequestTimeout
from toolbox.errors import ToolboxError
from toolbox.response import JSON
from toolbox.response import TextResponse
from toolbox_files.backend import FilesBackend
from toolbox_files.backend import SearchResults
from toolbox_files.errors import InvalidPattern
from toolbox_files.page_models import GlobOptions
from toolbox_files.page_models import GrepOptions
from toolbox_files.page_models import PageEnd
from toolbox_files.page_models import PageOptions
from toolbox_files.page_models import TreePlace
from toolbox_files.search.cursors import from_cursor
from toolbox_files.search.cursors import to_cursor

_FREE = {"cursor", "limit", "bytes", "seconds", "context", "width"}
"""Options that may differ from page to page: they don't change which results there are."""


def grep_page(
    backend: FilesBackend, options: GrepOptions, disconnected: Callable[[], bool]
) -> TextResponse:
    """Return a page of matching lines: :class:`toolbox_files.page_models.GrepPage`."""
    return _page(options, backend.grep(options, _place(options)), "matches", disconnected)


def glob_page(
    backend: FilesBackend, options: GlobOptions, disconnected: Callable[[], bool]
) -> TextResponse:
    """Return a page of paths: :class:`toolbox_files.page_models.GlobPage`."""
    return _page(options, backend.glob(options, _place(options)), "files", disconnected)


def _place(options: PageOptions) -> TreePlace | None:
    if not options.cursor:
        return None
    return from_cursor(options.cursor, _bound(options), TreePlace)


def _bound(options: PageOptions) -> object:
    fields = msgspec.structs.asdict(options).items()
    return type(options).__name__, [[name, value] for name, value in fields if name not in _FREE]


def _page(
    options: PageOptions, results: SearchResults, name: str, disconnected: Callable[[], bool]
) -> TextResponse:
    """Return a response with ``results`` as the list ``name``. Raises InvalidPattern."""
    blocks = []
    try:
        for block in results:
            if not block and disconnected():
                raise RequestTimeout("client disconnected; the search was stopped")
            blocks.append(block)
    finally:
        results.close()
    # Results stay as they are, JSON, without a raw newline in it; the last one is the end.
    values, _, last = b"".join(blocks).rpartition(b"\n")
    try:
        end = msgspec.json.decode(last, type=PageEnd)
    except msgspec.DecodeError:
        raise ToolboxError("the search helper ended early") from None
    if end.error:
        raise InvalidPattern(end.error)
    body = b'{"%b":[%b],"truncated":"%b"' % (
        name.encode(),
        values.replace(b"\n", b","),
        end.truncated.encode(),
    )
    if end.at is not None:
        body += b',"cursor":' + msgspec.json.encode(to_cursor(end.at, _bound(options)))
    return TextResponse(body + b"}", JSON)
