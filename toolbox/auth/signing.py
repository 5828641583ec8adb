"""Signed URLs: a link to one path of one operation, valid without a token until it expires.

The signature is ``v1_`` and, as base64url without padding, the HMAC-SHA256 of
``v1:{group}:{method}:{path}:{expires}``, where ``path`` is the query parameter of that name,
decoded, and ``expires`` seconds since the epoch, 0 for never. The SDKs make such URLs themselves
(``sandbox.download_url``, ``sandbox.upload_url``); they and the service share the key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import msgspec

from toolbox.auth.secret_store import SecretStore
from toolbox.errors import Unauthorized

KEY_VARIABLE = "TOOLBOX_SIGNING_KEY"
SIGNATURE_QUERY = "signature"
SIGNED_QUERY = ("path", "expires", SIGNATURE_QUERY)
SCHEME: dict[str, Any] = {"type": "apiKey", "in": "query", "name": SIGNATURE_QUERY}
"""The OpenAPI security scheme."""


class SignatureScheme(msgspec.Struct, frozen=True):
    """A way to sign URLs.

    ``parameters`` are the query parameters that it covers, each of which may be there once.
    ``check(store, method, query)`` raises Unauthorized unless the signature is valid.
    """

    parameters: tuple[str, ...]
    check: Callable[[SecretStore, str, Mapping[str, str]], None]


def scheme_of(group: str) -> SignatureScheme:
    """Return the scheme described above, for the operations of ``group``."""

    def check(store: SecretStore, method: str, query: Mapping[str, str]) -> None:
        check_signature(store.signing_key, group, method, query)

    return SignatureScheme(SIGNED_QUERY, check)


def sign(key: str, group: str, method: str, path: str, expires: int) -> str:
    """Return the signature of a URL."""
    text = f"v1:{group}:{method}:{path}:{expires}"
    digest = hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()
    return "v1_" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def check_signature(key: str, group: str, method: str, query: Mapping[str, str]) -> None:
    """Raise Unauthorized unless ``query`` holds a valid signature for its path, not yet expired.

    With an empty ``key``, which stands for none, no signature is valid.
    """
    path, expires = query.get("path", ""), query.get("expires", "")
    # More than 18 digits are no time, and int() raises ValueError for thousands.
    if not key or not expires.isascii() or not expires.isdecimal() or len(expires) > 18:
        raise Unauthorized("invalid signature")
    # The response to HEAD is that to GET without the body (RFC 9110, 9.3.2): one link serves both.
    expected = sign(key, group, "GET" if method == "HEAD" else method, path, int(expires))
    if not hmac.compare_digest(expected.encode(), query.get(SIGNATURE_QUERY, "").encode()):
        raise Unauthorized("invalid signature")
    # After the comparison: a forged URL must not learn that only its time is over.
    if int(expires) and time.time() > int(expires):
        raise Unauthorized("the signed URL has expired")
