"""The places where a request carries the bearer token."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs
from urllib.parse import unquote_to_bytes

from toolbox.auth import Credentials
from toolbox.auth import Environ
from toolbox.errors import Unauthorized
from toolbox.http.decoding import only
from toolbox.sockets.subprotocols import offered_subprotocols

TOKEN_QUERY = "DAYTONA_SANDBOX_AUTH_KEY"
"""Query parameter with the token, for WebSocket clients that can't set headers (browser SDK)."""

TOKEN_SUBPROTOCOL = "X-Toolbox-Token~"
"""A WebSocket client that can't set headers may also offer the token as this subprotocol,
percent-encoded: a subprotocol is a token (RFC 9110, 5.6.2), without ``/``, ``=`` and the like.
"""

PREVIEW_HEADER = "X-Daytona-Preview-Token"

SCHEMES: dict[str, dict[str, Any]] = {"bearer": {"type": "http", "scheme": "bearer"}}


def missing_token() -> Unauthorized:
    """Return the error for a request without a token."""
    return Unauthorized("missing bearer token")


def presented_token(environ: Environ) -> bytes | None:
    """Return the token that a request carries, None if it carries none.

    From a WebSocket handshake it is also taken from a subprotocol or the URL; not from other
    requests, whose clients can all set headers: URLs end up in logs.
    """
    # First, whatever its scheme is: a token in a URL may come from a link that the user was sent.
    header = environ.get("HTTP_AUTHORIZATION")
    if header is not None:
        return bearer_token(header)
    if not is_upgrade(environ):
        return None
    for offered in offered_subprotocols(environ):
        if offered.startswith(TOKEN_SUBPROTOCOL):
            return unquote_to_bytes(offered.removeprefix(TOKEN_SUBPROTOCOL))
    token = query_value(environ, TOKEN_QUERY)
    return token.encode() if token is not None else None


def preview_token(environ: Environ) -> bytes | None:
    """Return the content of the header ``X-Daytona-Preview-Token``, None if it is not there."""
    header = environ.get("HTTP_X_DAYTONA_PREVIEW_TOKEN")
    return header.encode("latin-1") if header is not None else None


def credentials_in(environ: Environ, *, with_authorization: bool = False) -> Credentials:
    """Return the names of all that may carry the token; of the header ``Authorization`` only if
    ``with_authorization``, as it may be meant for the application behind the proxy.
    """
    headers = {PREVIEW_HEADER.lower()}
    if with_authorization:
        headers.add("authorization")
    return Credentials(
        headers=frozenset(headers),
        query=frozenset({TOKEN_QUERY}),
        # In any case of letters: one that is not written as it should be has the token, too.
        subprotocols=frozenset(
            offered
            for offered in offered_subprotocols(environ)
            if offered.lower().startswith(TOKEN_SUBPROTOCOL.lower())
        ),
    )


def bearer_token(header: str) -> bytes | None:
    """Return the token in ``Authorization`` (RFC 6750, 2.1), None if that has none."""
    scheme, _, token = header.partition(" ")
    # The scheme is case-insensitive (RFC 9110, 11.1).
    if scheme.lower() != "bearer" or not token.strip(" "):
        return None
    return token.strip(" ").encode("latin-1")


def is_upgrade(environ: Environ) -> bool:
    """Report whether the request asks for a WebSocket."""
    return str(environ.get("HTTP_UPGRADE", "")).lower() == "websocket"


def query_value(environ: Environ, name: str) -> str | None:
    """Return the query parameter ``name``, None if it is not there. Raises BadRequest for two."""
    values = parse_qs(environ.get("QUERY_STRING", "")).get(name, [])
    return only("query parameter", name, values)
