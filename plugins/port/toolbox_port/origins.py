"""Headers of a request that name URLs: made what they would be without the proxy between.

An application compares ``Origin`` and ``Referer`` with ``Host``, to tell its own pages from others.
``Host`` is its own here, so the client's own origin must be, too; a foreign one stays what it is.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult
from urllib.parse import urlsplit

from toolbox_port.target import without_token

_WITH_QUERY = frozenset(
    ("referer", "x-forwarded-uri", "x-original-uri", "x-original-url", "x-rewrite-url")
)
"""Those that may hold a query, with the token in it: a page's URL, and what proxies note."""

_PORTS = {"http": ":80", "https": ":443"}


def own_url(environ: dict[str, Any], name: str, value: str, port: int, head: str) -> str:
    """The value of the header ``name`` as the application on ``port`` is to see it.

    ``head`` is the path below which the application is reached; where it is empty paths stay whole.
    """
    name = name.lower()
    if name in _WITH_QUERY:
        url, mark, query = value.partition("?")
        value = url + (without_token(mark + query) if mark else "")
    if name not in ("origin", "referer"):
        return value
    parts = _split(value)
    if parts is None or _authority(parts) not in _own_authorities(environ, parts.scheme):
        return value
    origin = f"http://localhost:{port}"
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
    """Host and port; of a user, whom no browser names, nothing."""
    return parts.netloc.rpartition("@")[2].lower().removesuffix(_PORTS[parts.scheme])


def _own_authorities(environ: dict[str, Any], scheme: str) -> set[str]:
    """By which names the client knows this service: its own, and that of a proxy before it."""
    named = [environ.get("HTTP_HOST", ""), *environ.get("HTTP_X_FORWARDED_HOST", "").split(",")]
    return {each.strip().lower().removesuffix(_PORTS[scheme]) for each in named} - {""}


def _below(environ: dict[str, Any], path: str, head: str) -> str:
    """``path`` as the application has it, the root for one that isn't the application's."""
    if not head:
        return path
    before = environ.get("HTTP_X_FORWARDED_PREFIX", "").rstrip("/")
    for prefix in (before + head, head):
        if (path + "/").startswith(prefix + "/"):
            return path.removeprefix(prefix)
    return "/"
