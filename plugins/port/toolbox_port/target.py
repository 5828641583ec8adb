"""What a proxied request is meant for: the port, and path and query as they were sent."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from urllib.parse import unquote_plus
from urllib.parse import unquote_to_bytes
from urllib.parse import urlsplit

from toolbox.auth import TICKET_QUERY
from toolbox.auth import TOKEN_QUERY
from toolbox_port.errors import InvalidPort

_OWN_QUERY = (TOKEN_QUERY, TICKET_QUERY)


def parse_port(text: str, low: int = 1, high: int = 65535) -> int:
    """The port, from digits alone: anything else in its place could name another host.

    Raises InvalidPort.
    """
    # str.isdigit() takes digits of every script, and int() a sign and blanks.
    if text.isascii() and text.isdigit() and len(text) <= 5 and low <= int(text) <= high:
        return int(text)
    raise InvalidPort(f"a port is a number from {low} to {high}")


def request_target(environ: dict[str, Any], head: str) -> str:
    """Path and query for the application, percent-encoded as the client did, without the ``head``
    of the path below which the application is reached.

    WSGI decodes the path, so that ``%2F`` and ``/`` are the same; gunicorn keeps it in
    ``RAW_URI``, too.
    """
    raw, mark, query = str(environ.get("RAW_URI", "")).partition("#")[0].partition("?")
    if not raw.startswith("/"):
        raw = urlsplit(raw).path  # RFC 9112, 3.2.2: the client may have named the host as well.
    rest = _after(raw, head)
    if rest is None:
        decoded: str = environ.get("SCRIPT_NAME", "") + environ["PATH_INFO"]
        decoded = decoded.removeprefix(head)
        rest = quote(decoded.encode("latin-1"), safe="/!$&'()*+,;=:@~")
    return (rest or "/") + (without_token(mark + query) if mark else "")


def _after(raw: str, head: str) -> str | None:
    """What follows the part of ``raw`` that is ``head`` when it is decoded."""
    if not head:
        return raw or None
    end = -1
    while (end := raw.find("/", end + 1)) >= 0:
        if unquote_to_bytes(raw[:end]).decode("latin-1") == head:
            return raw[end:]
    return None


def without_token(query: str) -> str:
    """``query``, from its question mark on, without what is meant for the service: its token, or a
    ticket.
    """
    fields = query[1:].split("&")
    kept = [field for field in fields if unquote_plus(field.partition("=")[0]) not in _OWN_QUERY]
    return query if len(kept) == len(fields) else "?" * bool(kept) + "&".join(kept)
