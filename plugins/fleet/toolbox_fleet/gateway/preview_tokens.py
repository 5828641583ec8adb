"""Tokens of preview URLs: one for each sandbox and port, and signed ones that expire."""

from __future__ import annotations

import base64
import hmac
import secrets
import threading
import time

import msgspec

from toolbox.auth.access import Auth
from toolbox.auth.tokens import derive_preview_token
from toolbox_fleet.errors import NoCapacity
from toolbox_fleet.errors import NoSuchResource

MOST_SIGNED = 10_000
"""Signed URLs that are valid at once."""


class Signed(msgspec.Struct, frozen=True):
    """The meaning of a signed URL's token."""

    sandbox_id: str
    port: int
    expires: float
    """On the monotonic clock."""
    listener: int = 0
    """The port of this service that is its alone; 0 for none."""


class PreviewTokens:
    """The tokens for ports. Made of the control plane's, they expire with it."""

    def __init__(self, auth: Auth) -> None:
        self._auth = auth
        # Without a token of the service, which a plugin's authenticator may not need.
        self._own = secrets.token_bytes(32)

    def token(self, sandbox_id: str, port: int) -> str:
        """Return the token for a port of a sandbox."""
        key = self._auth.store.token or self._own
        return derive_preview_token(key, f"sandbox:{sandbox_id}:{port}")

    def is_valid(self, presented: str, sandbox_id: str, port: int) -> bool:
        """Report whether ``presented`` is the token for a port of a sandbox."""
        expected = self.token(sandbox_id, port).encode()
        return hmac.compare_digest(presented.encode("utf-8", "replace"), expected)


class SignedTokens:
    """The tokens of signed URLs, which are lost with the worker process. *Any thread.*"""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._valid: dict[str, Signed] = {}
        self._by_listener: dict[int, str] = {}

    def issue(self, sandbox_id: str, port: int, seconds: int, listener: int = 0) -> str:
        """Return a new token, valid for ``seconds``. Raises NoCapacity."""
        token = "signed" + base64.b32encode(secrets.token_bytes(20)).decode().lower()
        now = time.monotonic()
        with self._lock:
            if len(self._valid) >= MOST_SIGNED:
                raise NoCapacity("too many signed preview URLs are valid", {"Retry-After": "60"})
            self._valid[token] = Signed(sandbox_id, port, now + seconds, listener)
            if listener:
                self._by_listener[listener] = token
        return token

    def find(self, token: str) -> Signed | None:
        """Return the meaning of a token, None if it isn't valid."""
        with self._lock:
            found = self._valid.get(token)
        return found if found is not None and found.expires > time.monotonic() else None

    def by_listener(self, listener: int) -> Signed | None:
        """Return the valid signed URL to which a port of this service belongs."""
        return self.find(self._by_listener.get(listener, ""))

    def expire(self, token: str, sandbox_id: str, port: int) -> Signed:
        """Make a token void; return its meaning. Raises NoSuchResource."""
        with self._lock:
            found = self._valid.get(token)
            # Another sandbox's token is as unknown as one that never was.
            if found is None or (found.sandbox_id, found.port) != (sandbox_id, port):
                raise NoSuchResource("no signed preview URL of the port has this token")
            return self._remove(token)

    def take_expired(self) -> list[Signed]:
        """Forget the tokens whose time is over; return their meanings."""
        now = time.monotonic()
        with self._lock:
            over = [token for token, found in self._valid.items() if found.expires <= now]
            return [self._remove(token) for token in over]

    def forget(self, sandbox_id: str) -> None:
        """Make the tokens of a sandbox void."""
        with self._lock:
            found = self._valid.items()
            for token in [token for token, signed in found if signed.sandbox_id == sandbox_id]:
                self._remove(token)

    def _remove(self, token: str) -> Signed:
        found = self._valid.pop(token)
        self._by_listener.pop(found.listener, None)
        return found
