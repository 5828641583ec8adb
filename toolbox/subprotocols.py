"""WebSocket subprotocols (RFC 6455, 1.9): which are offered, and which of them is chosen."""

from __future__ import annotations

from typing import Any

TOKEN_SUBPROTOCOL = "X-Toolbox-Token~"
"""A client that can't set headers may offer the bearer token as this subprotocol, percent-encoded:
a subprotocol is a token (RFC 9110, 5.6.2), without ``/``, ``=`` and the like.
"""

_PREFERRED = ("X-Daytona-SDK-Version~", "X-Daytona-Pty-Exit-Control", "toolbox")
_SECRET = (TOKEN_SUBPROTOCOL, "X-Daytona-Pty-Envs~")


def offered_subprotocols(environ: dict[str, Any]) -> list[str]:
    """The subprotocols a client offers, from all its header lines (WSGI joins them)."""
    header = environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "")
    return [token.strip() for token in header.split(",") if token.strip()]


def choose_subprotocol(offered: list[str]) -> str | None:
    """The one to echo: clients abort on one they didn't offer, and on none if they offered some.

    One that carries a value worth hiding is echoed only if there is no other.
    """
    for preferred in _PREFERRED:
        for token in offered:
            if token.startswith(preferred):
                return token
    plain = [token for token in offered if not token.startswith(_SECRET)]
    return next(iter(plain or offered), None)
