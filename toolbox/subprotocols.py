"""WebSocket subprotocols (RFC 6455, 1.9): which are offered, and which of them is chosen."""

from __future__ import annotations

from typing import Any

TOKEN_SUBPROTOCOL = "X-Toolbox-Token~"
"""A client that can't set headers may offer the bearer token as this subprotocol, percent-encoded:
a subprotocol is a token (RFC 9110, 5.6.2), without ``/``, ``=`` and the like.
"""

SUBPROTOCOL = "toolbox"
"""What to offer beside the token: browsers insist that one is chosen, and the token never is."""

_PREFERRED = ("X-Daytona-SDK-Version~", "X-Daytona-Pty-Exit-Control", SUBPROTOCOL)
_VARIABLES = "X-Daytona-Pty-Envs~"


def offered_subprotocols(environ: dict[str, Any]) -> list[str]:
    """The subprotocols a client offers, from all its header lines (WSGI joins them)."""
    header = environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "")
    return [token.strip() for token in header.split(",") if token.strip()]


def carries_token(offered: str) -> bool:
    """Whether a subprotocol has the token in it, if perhaps not as it should be written."""
    return offered.lower().startswith(TOKEN_SUBPROTOCOL.lower())


def choose_subprotocol(offered: list[str]) -> str | None:
    """The one to echo: clients abort on one they didn't offer, and some on none if they offered
    some.

    The token never is: what an answer holds is logged and cached. One with variables is only if
    there is no other.
    """
    for preferred in _PREFERRED:
        for token in offered:
            if token.startswith(preferred):
                return token
    shown = [token for token in offered if not carries_token(token)]
    return next((token for token in shown if not token.startswith(_VARIABLES)), None) or next(
        iter(shown), None
    )
