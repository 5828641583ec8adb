"""The target of a forwarded request: path and query as they were sent."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import quote
from urllib.parse import unquote_plus
from urllib.parse import unquote_to_bytes
from urllib.parse import urlsplit


def request_target(
    environ: dict[str, Any], head: str, secret: Collection[str], before: str = ""
) -> str:
    """Return path and query for the application, percent-encoded as the client did, without the
    ``head`` of the path below which the application is reached and without the query parameters
    ``secret``, but with ``before`` in front.

    WSGI decodes the path, so that ``%2F`` and ``/`` are the same; gunicorn keeps it in
    ``RAW_URI``, too.
    """
    raw, mark, query = str(environ.get("RAW_URI", "")).partition("#")[0].partition("?")
    if not raw.startswith("/"):
        raw = urlsplit(raw).path  # The client may send the host, too (RFC 9112, 3.2.2).
    rest = _after(raw, head)
    if rest is None:
        decoded: str = environ.get("SCRIPT_NAME", "") + environ["PATH_INFO"]
        decoded = decoded.removeprefix(head)
        rest = quote(decoded.encode("latin-1"), safe="/!$&'()*+,;=:@~")
    return before + (rest or "/") + (without_fields(mark + query, secret) if mark else "")


def _after(raw: str, head: str) -> str | None:
    """Return the rest of ``raw`` after the part that is ``head`` when decoded, None without one."""
    if not head:
        return raw or None
    end = -1
    while (end := raw.find("/", end + 1)) >= 0:
        if unquote_to_bytes(raw[:end]).decode("latin-1") == head:
            return raw[end:]
    return None


def without_fields(query: str, names: Collection[str]) -> str:
    """Return ``query``, which begins with its question mark, without the parameters ``names``."""
    # Not parsed and encoded anew: the other fields must arrive byte for byte.
    fields = query[1:].split("&")
    kept = [field for field in fields if unquote_plus(field.partition("=")[0]) not in names]
    return query if len(kept) == len(fields) else "?" * bool(kept) + "&".join(kept)
