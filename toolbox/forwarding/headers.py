"""The headers of a forwarded request and of its response (RFC 9110, 7.6)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from toolbox.auth import Credentials
from toolbox.forwarding.origins import own_url
from toolbox.forwarding.origins import without_secrets
from toolbox.forwarding.route import Route
from toolbox.request import RequestInfo
from toolbox.sockets.subprotocols import SUBPROTOCOL
from toolbox.sockets.subprotocols import offered_subprotocols

HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
"""Headers that concern only one connection (RFC 9110, 7.6.1)."""

_OWN = frozenset(
    (
        "host",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-prefix",
        "x-forwarded-proto",
    )
)
_SERVERS = frozenset(("date", "server"))
"""Headers that the service adds itself and that must occur only once."""

_CONTROLS = {code: " " for code in (*range(0x20), 0x7F) if code != 0x09}

Pairs = list[tuple[str, str]]


def text(raw: bytes) -> str:
    """Return a header's value or a reason phrase as text.

    Control characters, which must not be forwarded, become spaces (RFC 9110, 5.5).
    """
    return raw.decode("latin-1").translate(_CONTROLS)


def request_headers(request: RequestInfo, route: Route, *, chunked: bool) -> Pairs:
    """Return the headers to send by ``route``."""
    credentials = route.removed
    left_out = HOP_BY_HOP | _OWN | _named_by(request.headers.getlist("Connection"))
    # An authenticator may name them as they are written.
    left_out |= {name.lower() for name in credentials.headers}
    left_out |= route.replaced | {name.lower() for name, _ in route.added}
    pairs = [("Host", route.authority), *route.added]
    for name, value in request.headers:
        if name.lower() in left_out:
            continue
        if name.lower() == "cookie" and credentials.cookies:
            value = _without_cookies(value, credentials.cookies)
            if not value:
                continue
        value = without_secrets(name, value, credentials.query)
        if route.origin:
            value = own_url(request.environ, name, value, route.origin, route.prefix)
        pairs.append((name, value))
    pairs += _forwarded(request.environ, route.prefix)
    if chunked:
        pairs.append(("Transfer-Encoding", "chunked"))
    # One request a connection: see upstream.
    return [*pairs, ("Connection", "close")]


def upgrade_headers(request: RequestInfo, route: Route) -> Pairs:
    """Return the headers of a WebSocket handshake to send by ``route``. Of the subprotocols, those
    with credentials are left out, and the one offered beside them for us to choose.
    """
    credentials = route.removed
    pairs = request_headers(request, route, chunked=False)
    changed = ("connection", "content-length", "sec-websocket-protocol")
    pairs = [(name, value) for name, value in pairs if name.lower() not in changed]
    left_out = {*credentials.subprotocols, own_subprotocol(request.environ, credentials)}
    kept = [offer for offer in offered_subprotocols(request.environ) if offer not in left_out]
    if kept:
        pairs.append(("Sec-WebSocket-Protocol", ", ".join(kept)))
    return [*pairs, ("Connection", "Upgrade"), ("Upgrade", "websocket")]


def response_headers(raw: Iterable[tuple[bytes, bytes]]) -> Pairs:
    """Return the headers of a response, in order and with duplicates."""
    pairs = [(text(name), text(value)) for name, value in raw]
    left_out = HOP_BY_HOP | _SERVERS
    left_out |= _named_by(value for name, value in pairs if name.lower() == "connection")
    if any(name.lower() == "transfer-encoding" for name, _ in pairs):
        left_out |= {"content-length"}  # Overridden (RFC 9112, 6.3).
    return [(name, value) for name, value in pairs if name.lower() not in left_out]


def upgraded_head(status_line: bytes, raw: Iterable[tuple[bytes, bytes]], ours: str) -> bytes:
    """Return the 101 for the client, with the subprotocol that the application has chosen.

    Without one it is ``ours``, unless that is empty: a browser that offered subprotocols requires
    that one is chosen.
    """
    lines = [status_line]
    lines += [name + b": " + value for name, value in raw]
    if ours and not any(name.lower() == b"sec-websocket-protocol" for name, _ in raw):
        lines.append(b"Sec-WebSocket-Protocol: " + ours.encode("latin-1"))
    return b"\r\n".join(lines) + b"\r\n\r\n"


def own_subprotocol(environ: dict[str, Any], credentials: Credentials) -> str:
    """Return the subprotocol offered for the service beside one with credentials, or an empty
    string.
    """
    offered = offered_subprotocols(environ)
    return SUBPROTOCOL if credentials.subprotocols and SUBPROTOCOL in offered else ""


def _without_cookies(header: str, names: frozenset[str]) -> str:
    """Return a ``Cookie`` header (RFC 6265, 4.2.1) without the cookies ``names``."""
    # WSGI joins several headers by commas, and lenient parsers (http.cookies) also separate cookies
    # by spaces. A credential's value may have either, so it is removed up to the semicolon.
    names_pattern = "|".join(map(re.escape, names))
    credential = re.compile(rf"(?:^|[\s,])(?:{names_pattern})(?![^\s,=]).*", re.DOTALL)
    cookies = [credential.sub("", cookie).strip() for cookie in header.split(";")]
    return "; ".join(filter(None, cookies))


def _named_by(connection: Iterable[str]) -> frozenset[str]:
    """Return the headers that ``Connection`` names, except those that frame or describe the body:
    a client must not be able to have them removed.
    """
    names = {name.strip().lower() for line in connection for name in line.split(",")}
    return frozenset(names - {"content-length", "content-type", "host"})


def _forwarded(environ: dict[str, Any], prefix: str) -> Pairs:
    """Return the headers that describe the original request, which the application can't see.

    Proxies in front of the service may have set them already; the service appends its own part.
    """
    addresses = [environ.get("HTTP_X_FORWARDED_FOR", ""), environ.get("REMOTE_ADDR", "")]
    found = {
        "X-Forwarded-For": ", ".join(filter(None, addresses)),
        "X-Forwarded-Host": environ.get("HTTP_X_FORWARDED_HOST") or environ.get("HTTP_HOST", ""),
        "X-Forwarded-Proto": environ.get("HTTP_X_FORWARDED_PROTO") or environ["wsgi.url_scheme"],
        "X-Forwarded-Prefix": environ.get("HTTP_X_FORWARDED_PREFIX", "").rstrip("/") + prefix,
    }
    return [(name, value) for name, value in found.items() if value]
