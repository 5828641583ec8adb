"""Responses with numbered lines of a file."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from toolbox_files.backend import FilesBackend
from toolbox_files.errors import file_errors
from toolbox_files.page_models import LinesPage
from toolbox_files.page_models import LinesQuery
from toolbox_files.read.lines import LinePlace
from toolbox_files.read.lines import LineReader
from toolbox_files.search.cursors import from_cursor
from toolbox_files.search.cursors import to_cursor


def lines_page(
    backend: FilesBackend, query: LinesQuery, disconnected: Callable[[], bool]
) -> LinesPage:
    """Return a page of lines. Raises BinaryFile, InvalidCursor."""
    bound = "lines", query.path
    place = LinePlace(query.offset)
    if query.cursor:
        place = from_cursor(query.cursor, bound, LinePlace)
    with backend.open(query.path) as file, file_errors():
        page, following = LineReader(file.fileno(), query, disconnected).read(place)
    if following is None:
        return page
    return msgspec.structs.replace(page, cursor=to_cursor(following, bound))
