"""Sending the results of a search as one JSON array."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from typing import IO

from toolbox.errors import RequestTimeout
from toolbox.response import JSON
from toolbox.response import StreamResponse
from toolbox_files.backend import SearchResults
from toolbox_files.models import SearchOptions

IN_MEMORY = 1024 * 1024
"""Bytes of a bounded search's results that are kept in memory; more go to a temporary file."""


def search_response(
    results: SearchResults,
    options: SearchOptions,
    disconnected: Callable[[], bool],
    before: str = "",
    after: str = "",
) -> StreamResponse:
    """Return a response with the results as one JSON array between ``before`` and ``after``.

    A bounded search is completed first, so that the header ``X-Truncated`` can state which bound
    ended it. ``disconnected`` reports whether the client is still there; if not, the search ends.
    """
    chunks = _array(results, disconnected, before.encode() + b"[", b"]" + after.encode())
    headers = {}
    if options.limit or options.seconds:
        chunks = _stored(chunks)
        headers = {"X-Truncated": results.truncated} if results.truncated else {}
    return StreamResponse(chunks, JSON, headers=headers)


def _array(
    results: SearchResults, disconnected: Callable[[], bool], start: bytes, end: bytes
) -> Iterator[bytes]:
    try:
        yield start
        separator = b""
        for block in results:
            if block:
                # JSON contains no raw newline, so each one ends a value.
                yield separator + block.removesuffix(b"\n").replace(b"\n", b",")
                separator = b"," if block.endswith(b"\n") else b""
            elif disconnected():
                # As a write would; closing the array would make the response look complete.
                raise BrokenPipeError(errno.EPIPE, "client disconnected; the search was stopped")
        yield end
    finally:
        results.close()


def _stored(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Collect all chunks, then return an iterator over their content."""
    # The response closes it, long after this function returns.
    spool = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115
    try:
        for chunk in chunks:
            spool.write(chunk)
    except BrokenPipeError as error:
        raise RequestTimeout(str(error.strerror)) from None
    spool.seek(0)
    return _content(spool)


def _content(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while block := file.read(IN_MEMORY):
            yield block
