"""WebSocket subprotocols (RFC 6455, 1.9): offers, and the choice among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

SUBPROTOCOL = "toolbox"
"""The one to offer beside a token: browsers insist on a choice, and a token is never chosen."""


class Subprotocols(NamedTuple):
    """The subprotocols that a handler knows, each by its name or the beginning of it."""

    preferred: tuple[str, ...] = ()
    """Those to choose, the best first."""

    private: tuple[str, ...] = ()
    """Those that carry data; they are chosen only if the client offers nothing else."""


def offered_subprotocols(environ: Mapping[str, Any]) -> list[str]:
    """Return the subprotocols a client offers, from all its header lines (WSGI joins them)."""
    header = environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "")
    return [token.strip() for token in header.split(",") if token.strip()]


def choose_subprotocol(offered: list[str], known: Subprotocols) -> str | None:
    """Return the subprotocol to accept, None if there is none.

    Clients abort on one they didn't offer, and some on none if they offered any.
    """
    for preferred in (*known.preferred, SUBPROTOCOL):
        for name in offered:
            if name.startswith(preferred):
                return name
    return next((name for name in offered if not name.startswith(known.private)), None) or next(
        iter(offered), None
    )
