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
        self._ends: dict[str, float] = {}

    def issue(self) -> str:
        """A new ticket: 43 characters that need no escape in a URL."""
        ticket = secrets.token_urlsafe(32)
        with self._lock:
            self._ends[ticket] = awake() + LIFETIME
            while len(self._ends) > OUTSTANDING:
                del self._ends[next(iter(self._ends))]
        return ticket

    def redeem(self, ticket: str) -> bool:
        """Whether ``ticket`` is good, which it is once."""
        with self._lock:
            return self._ends.pop(ticket, 0.0) > awake()

    def void(self) -> None:
        """Make every outstanding ticket worthless."""
        with self._lock:
            self._ends.clear()
