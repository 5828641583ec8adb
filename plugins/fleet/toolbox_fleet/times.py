"""Times on the wire: RFC 3339."""

from __future__ import annotations

import time
from datetime import UTC
from datetime import datetime

from toolbox_fleet.errors import InvalidValue


def format_time(seconds: float | None = None) -> str:
    """Return a time in seconds since the epoch, by default now, with milliseconds and ``Z``."""
    # Milliseconds: JavaScript's Date has no more.
    moment = datetime.fromtimestamp(time.time() if seconds is None else seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> float:
    """Return an RFC 3339 time in seconds since the epoch; without a zone it is in UTC.

    Raises InvalidValue.
    """
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise InvalidValue(f"not an RFC 3339 time: {text[:40]!r}") from None
