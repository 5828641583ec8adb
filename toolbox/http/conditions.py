"""Conditional requests (RFC 9110, 13)."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import Any

from werkzeug.http import parse_date
from werkzeug.http import parse_etags

from toolbox.errors import PreconditionFailed

_DATE = re.compile(
    r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"
    r"|[A-Z][a-z]{5,8}, \d\d-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d GMT"
    r"|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}",
    re.ASCII,
)
"""The three formats of a date (RFC 9110, 5.6.7). Anything else is invalid, two dates too."""


def http_time(text: str | None) -> float | None:
    """Return an HTTP date in seconds since the epoch, None if it is invalid."""
    text = (text or "").strip()
    found: datetime | None = parse_date(text) if _DATE.fullmatch(text) else None
    return found.timestamp() if found else None


def matches(header: str, etag: str | None) -> bool:
    """Report whether a list of ETags has ``etag``, by strong comparison (RFC 9110, 8.8.3.2).

    ``etag`` is unquoted and strong, or None if the resource doesn't exist; ``*`` matches any.
    """
    return etag is not None and bool(etag in parse_etags(header))


def matches_weakly(header: str, etag: str | None) -> bool:
    """Report whether a list of ETags has ``etag``, by weak comparison."""
    return etag is not None and bool(parse_etags(header).contains_weak(etag))


def check_unchanged(etag: str | None, modified: float, if_match: str, unmodified: str) -> None:
    """Apply ``If-Match``, or ``If-Unmodified-Since`` where there is none (RFC 9110, 13.2.2).

    ``etag`` and ``modified`` are those of the resource; ``etag`` is None if it doesn't exist.
    Raises PreconditionFailed.
    """
    if if_match:
        if not matches(if_match, etag):
            raise PreconditionFailed("the file has changed" if etag else "there is no such file")
        return
    date = http_time(unmodified)
    if date is not None and etag is not None and int(modified) > date:
        raise PreconditionFailed("the file has changed")


def is_known(environ: dict[str, Any], etag: str, modified: float) -> bool:
    """Report whether a GET or HEAD should get 304, by ``If-None-Match`` or ``If-Modified-Since``.

    Raises PreconditionFailed for the conditions that take precedence.
    """
    get = environ.get
    check_unchanged(etag, modified, get("HTTP_IF_MATCH", ""), get("HTTP_IF_UNMODIFIED_SINCE", ""))
    if none_match := get("HTTP_IF_NONE_MATCH"):
        return matches_weakly(none_match, etag)
    date = http_time(get("HTTP_IF_MODIFIED_SINCE"))
    return date is not None and int(modified) <= date


def range_holds(environ: dict[str, Any], etag: str, modified: float) -> bool:
    """Report whether a range may be sent, by ``If-Range`` (RFC 9110, 13.1.5).

    A date only counts if the resource can't have changed again within that second (8.8.2.2).
    """
    condition = environ.get("HTTP_IF_RANGE", "").strip()
    if not condition:
        return True
    date = http_time(condition)
    if date is None:
        return bool(condition == f'"{etag}"')
    return date == int(modified) and modified < time.time() - 1
