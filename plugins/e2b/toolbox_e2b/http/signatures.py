"""Signed URLs of files, as E2B's clients make them of the token that they have.

The signature is ``v1_`` and, as base64 without padding, the SHA-256 of
``path:operation:user:token``, and ``:expiration`` in seconds since the epoch if there is one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping

from toolbox.auth.secret_store import SecretStore
from toolbox.auth.signing import SignatureScheme
from toolbox.errors import Unauthorized

_PARAMETERS = ("path", "username", "signature", "signature_expiration")


def sign(path: str, operation: str, user: str, token: str, expiration: str) -> str:
    """Return the signature of a URL; ``expiration`` is empty for never."""
    text = f"{path}:{operation}:{user}:{token}" + (f":{expiration}" if expiration else "")
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return "v1_" + base64.b64encode(digest).rstrip(b"=").decode()


def _check(store: SecretStore, method: str, query: Mapping[str, str]) -> None:
    token, expiration = store.token.decode(), query.get("signature_expiration", "")
    # More than 18 digits are no time, and int() raises ValueError for thousands.
    if not token or (expiration and not (expiration.isascii() and expiration.isdecimal())):
        raise Unauthorized("invalid signature")
    if len(expiration) > 18:
        raise Unauthorized("invalid signature")
    # The response to HEAD is that to GET without the body (RFC 9110, 9.3.2).
    operation = "read" if method in ("GET", "HEAD") else "write"
    expected = sign(query.get("path", ""), operation, query.get("username", ""), token, expiration)
    if not hmac.compare_digest(expected.encode(), query.get("signature", "").encode()):
        raise Unauthorized("invalid signature")
    # After the comparison: a forged URL must not learn that only its time is over.
    if expiration and time.time() > int(expiration):
        raise Unauthorized("the signed URL has expired")


SCHEME = SignatureScheme(_PARAMETERS, _check)
