"""Signed URLs: a link to one path of one operation, good without a token until it expires.

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
from collections.abc import Mapping

from toolbox.errors import Unauthorized

KEY_VARIABLE = "TOOLBOX_SIGNING_KEY"
SIGNATURE_QUERY = "signature"
SIGNED_QUERY = ("path", "expires", SIGNATURE_QUERY)


def sign(key: str, group: str, method: str, path: str, expires: int) -> str:
    """The signature of a URL."""
    text = f"v1:{group}:{method}:{path}:{expires}"
    digest = hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()
    return "v1_" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def check_signature(key: str, group: str, method: str, query: Mapping[str, str]) -> None:
    """Raises Unauthorized unless ``query`` holds the signature for its path, still in force.

    ``key`` is empty if there is none; then no signature is right.
    """
    path, expires = query.get("path", ""), query.get("expires", "")
    if not key or not expires.isascii() or not expires.isdecimal() or len(expires) > 18:
        raise Unauthorized("the signature is not right")
    # HEAD is what GET would answer, without the body (RFC 9110, 9.3.2).
    right = sign(key, group, "GET" if method == "HEAD" else method, path, int(expires))
    if not hmac.compare_digest(right.encode(), query.get(SIGNATURE_QUERY, "").encode()):
        raise Unauthorized("the signature is not right")
    if int(expires) and time.time() > int(expires):
        raise Unauthorized("the signed URL has expired")
