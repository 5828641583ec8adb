"""The headers of a proxied request and of its answer (RFC 9110, 7.6)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from toolbox.request import RequestInfo
from toolbox.subprotocols import SUBPROTOCOL
from toolbox.subprotocols import carries_token
from toolbox.subprotocols import offered_subprotocols
from toolbox_port.origins import own_url

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
"""Those that are about one connection, here or there (RFC 9110, 7.6.1)."""

_OWN = frozenset(
    (
        "host",
        "x-daytona-preview-token",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-prefix",
        "x-forwarded-proto",
    )
)
_SERVERS = frozenset(("date", "server"))
"""The service says these itself, and they may be there but once."""

_CONTROLS = {code: " " for code in (*range(0x20), 0x7F) if code != 0x09}

Pairs = list[tuple[str, str]]


def text(raw: bytes) -> str:
    """A header's value or a reason phrase. Control characters, which no server sends on, become
    blanks (RFC 9110, 5.5).
    """
    return raw.decode("latin-1").translate(_CONTROLS)


def request_headers(
    request: RequestInfo, port: int, prefix: str, *, chunked: bool, keep_authorization: bool
) -> Pairs:
    """The headers to send to ``port``; ``prefix`` is the path below which it is reached here."""
    left_out = HOP_BY_HOP | _OWN | _named_by(request.headers.getlist("Connection"))
    if not keep_authorization:
        left_out |= {"authorization"}
    pairs = [("Host", f"localhost:{port}")]
    pairs += [
        (name, own_url(request.environ, name, value, port, prefix))
        for name, value in request.headers
        if name.lower() not in left_out
    ]
    pairs += _forwarded(request.environ, prefix)
    if chunked:
        pairs.append(("Transfer-Encoding", "chunked"))
    return [*pairs, ("Connection", "close")]


def upgrade_headers(
    request: RequestInfo, port: int, prefix: str, *, keep_authorization: bool
) -> Pairs:
    """The headers of a WebSocket handshake with ``port``; a token offered as a subprotocol is
    left out, and the one offered beside it for us to choose.
    """
    pairs = request_headers(
        request, port, prefix, chunked=False, keep_authorization=keep_authorization
    )
    changed = ("connection", "content-length", "sec-websocket-protocol")
    pairs = [(name, value) for name, value in pairs if name.lower() not in changed]
    ours = own_subprotocol(request.environ)
    offered = offered_subprotocols(request.environ)
    kept = [each for each in offered if not carries_token(each) and each != ours]
    if kept:
        pairs.append(("Sec-WebSocket-Protocol", ", ".join(kept)))
    return [*pairs, ("Connection", "Upgrade"), ("Upgrade", "websocket")]


def answer_headers(raw: Iterable[tuple[bytes, bytes]]) -> Pairs:
    """The headers of an answer, in order and with those that are there twice."""
    pairs = [(text(name), text(value)) for name, value in raw]
    left_out = HOP_BY_HOP | _SERVERS
    left_out |= _named_by(value for name, value in pairs if name.lower() == "connection")
    if any(name.lower() == "transfer-encoding" for name, _ in pairs):
        left_out |= {"content-length"}  # It doesn't count then (RFC 9112, 6.3).
    return [(name, value) for name, value in pairs if name.lower() not in left_out]


def upgraded_head(status_line: bytes, raw: Iterable[tuple[bytes, bytes]], ours: str) -> bytes:
    """The 101 for the client. A browser that offered subprotocols insists that one is chosen: if
    the application has chosen none it is ``ours``, unless that is empty.
    """
    lines = [status_line]
    lines += [name + b": " + value for name, value in raw]
    if ours and not any(name.lower() == b"sec-websocket-protocol" for name, _ in raw):
        lines.append(b"Sec-WebSocket-Protocol: " + ours.encode("latin-1"))
    return b"\r\n".join(lines) + b"\r\n\r\n"


def own_subprotocol(environ: dict[str, Any]) -> str:
    """The subprotocol that was offered for the service beside the token, or the empty string."""
    offered = offered_subprotocols(environ)
    with_token = any(map(carries_token, offered))
    return SUBPROTOCOL if with_token and SUBPROTOCOL in offered else ""


def _named_by(connection: Iterable[str]) -> frozenset[str]:
    """The headers that ``Connection`` says are about this connection, but never those that frame
    or describe the body: a client must not be able to have them left out.
    """
    names = {name.strip().lower() for line in connection for name in line.split(",")}
    return frozenset(names - {"content-length", "content-type", "host"})


def _forwarded(environ: dict[str, Any], prefix: str) -> Pairs:
    """What the application needs to know of the request it doesn't see itself. Proxies on the way
    to the service have said the first part.
    """
    addresses = [environ.get("HTTP_X_FORWARDED_FOR", ""), environ.get("REMOTE_ADDR", "")]
    found = {
        "X-Forwarded-For": ", ".join(filter(None, addresses)),
        "X-Forwarded-Host": environ.get("HTTP_X_FORWARDED_HOST") or environ.get("HTTP_HOST", ""),
        "X-Forwarded-Proto": environ.get("HTTP_X_FORWARDED_PROTO") or environ["wsgi.url_scheme"],
        "X-Forwarded-Prefix": environ.get("HTTP_X_FORWARDED_PREFIX", "").rstrip("/") + prefix,
    }
    return [(name, value) for name, value in found.items() if value]
