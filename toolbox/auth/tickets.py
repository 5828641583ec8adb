"""One-time tickets: what a WebSocket's URL may hold instead of a credential.

URLs end up in logs and histories. A ticket there is worthless once it was used, or after
:data:`LIFETIME`.
"""

from __future__ import annotations

import secrets
import threading

import msgspec

from toolbox.linux.clock import awake

LIFETIME = 30.0
"""Seconds until a ticket expires."""

OUTSTANDING = 1000
"""Unused tickets at most; with one more the oldest becomes void."""


class _Issued(msgspec.Struct, frozen=True):
    user: str
    epoch: bytes
    expires: float


class Tickets:
    """The tickets that were issued and not used. They are lost with the worker process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._issued: dict[str, _Issued] = {}

    def issue(self, user: str = "", epoch: bytes = b"") -> str:
        """Return a new ticket for ``user``: 43 characters that need no escape in a URL.

        It is accepted while :attr:`toolbox.auth.Authenticator.epoch` is ``epoch``.
        """
        ticket = secrets.token_urlsafe(32)
        with self._lock:
            self._issued[ticket] = _Issued(user, epoch, awake() + LIFETIME)
            # A dict keeps the order of insertion, so the first is the oldest.
            while len(self._issued) > OUTSTANDING:
                del self._issued[next(iter(self._issued))]
        return ticket

    def redeem(self, ticket: str, epoch: bytes = b"") -> str | None:
        """Return the user of ``ticket`` and forget it; None if it is not accepted."""
        # Removed before it is checked: of two requests with the same ticket only one finds it.
        with self._lock:
            issued = self._issued.pop(ticket, None)
        if issued is None or issued.expires <= awake() or issued.epoch != epoch:
            return None
        return issued.user
