"""Headers of a request that contain URLs, rewritten to what they would be without the proxy.

An application compares ``Origin`` and ``Referer`` with ``Host`` to distinguish its own pages from
others. It gets its own ``Host``, so the origin of its pages must be rewritten, too; a foreign one
is kept.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import SplitResult
from urllib.parse import urlsplit

from toolbox.forwarding.target import without_fields

_WITH_QUERY = frozenset(
    ("referer", "x-forwarded-uri", "x-original-uri", "x-original-url", "x-rewrite-url")
)
"""Headers whose URL may have a query with a credential: of pages, and added by proxies."""

_PORTS = {"http": ":80", "https": ":443"}


def without_secrets(name: str, value: str, secret: Collection[str]) -> str:
    """Return the header's value without the query parameters ``secret`` of URLs in it."""
    url, mark, query = value.partition("?")
    if not mark or name.lower() not in _WITH_QUERY:
        return value
    return url + without_fields(mark + query, secret)


def own_url(environ: dict[str, Any], name: str, value: str, origin: str, head: str) -> str:
    """Return the value of the header ``name`` as the application at ``origin`` is to see it.

    ``head`` is the path below which the application is reached; where it is empty paths stay whole.
    """
    name = name.lower()
    if name not in ("origin", "referer"):
        return value
    parts = _split(value)
    if parts is None or _authority(parts) not in _own_authorities(environ, parts.scheme):
        return value
    if name == "origin":
        return origin
    query = f"?{parts.query}" if parts.query else ""
    return origin + (_below(environ, parts.path, head) or "/") + query


def _split(value: str) -> SplitResult | None:
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    return parts if parts.scheme in _PORTS else None


def _authority(parts: SplitResult) -> str:
    """Return host and port without a user, which no browser sends."""
    return parts.netloc.rpartition("@")[2].lower().removesuffix(_PORTS[parts.scheme])


def _own_authorities(environ: dict[str, Any], scheme: str) -> set[str]:
    """Return the names by which the client knows this service: its own, and those of proxies in
    front of it.
    """
    named = [environ.get("HTTP_HOST", ""), *environ.get("HTTP_X_FORWARDED_HOST", "").split(",")]
    return {name.strip().lower().removesuffix(_PORTS[scheme]) for name in named} - {""}


def _below(environ: dict[str, Any], path: str, head: str) -> str:
    """Return ``path`` as the application knows it, the root for a path that isn't its own."""
    if not head:
        return path
    before = environ.get("HTTP_X_FORWARDED_PREFIX", "").rstrip("/")
    for prefix in (before + head, head):
        if (path + "/").startswith(prefix + "/"):
            return path.removeprefix(prefix)
    return "/"
