"""One-time tickets: what a WebSocket's URL may hold instead of the token.

URLs end up in logs and histories. A ticket there is worth nothing once it was used, or after
:data:`LIFETIME`.
"""

from __future__ import annotations

import secrets
import threading

from toolbox.clock import awake

LIFETIME = 30.0
"""Seconds from the issue of a ticket to its end."""

OUTSTANDING = 1000
"""Tickets that may wait for their use; of more, the oldest are void."""


class Tickets:
    """Those that were issued and not used. They are in memory: they don't outlive the worker."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._issued: dict[str, tuple[float, bytes]] = {}

    def issue(self, token: bytes = b"") -> str:
        """A new ticket, while ``token`` is in force: 43 characters that need no escape in a URL."""
        ticket = secrets.token_urlsafe(32)
        with self._lock:
            self._issued[ticket] = awake() + LIFETIME, token
            while len(self._issued) > OUTSTANDING:
                del self._issued[next(iter(self._issued))]
        return ticket

    def redeem(self, ticket: str, token: bytes = b"") -> bool:
        """Whether ``ticket`` is good, which it is once, while ``token`` is in force."""
        with self._lock:
            end, of = self._issued.pop(ticket, (0.0, b""))
        return end > awake() and of == token

    def void(self) -> None:
        """Make every outstanding ticket worthless."""
        with self._lock:
            self._issued.clear()
