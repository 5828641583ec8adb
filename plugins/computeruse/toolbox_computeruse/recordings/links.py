"""Links to recordings: a player in a page fetches ranges by itself, and can't send the token.

The signature is the HMAC-SHA256 of ``{id}:{expires}`` with a key that only this process has.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from urllib.parse import urlencode

from toolbox.auth.secret_store import SecretStore
from toolbox.auth.signing import SIGNATURE_QUERY
from toolbox.auth.signing import SignatureScheme
from toolbox.errors import Unauthorized
from toolbox_computeruse.recordings.models import RecordingLink

LIFETIME = 3600
"""Seconds until a link expires."""

PATH = "x/computeruse/recordings/play"

_KEY = secrets.token_bytes(32)


def link(recording_id: str) -> RecordingLink:
    """Return a link to a recording."""
    expires = str(int(time.time()) + LIFETIME)
    query = {"id": recording_id, "expires": expires, SIGNATURE_QUERY: _sign(recording_id, expires)}
    return RecordingLink(url=f"{PATH}?{urlencode(query)}", expires=int(expires))


def _sign(recording_id: str, expires: str) -> str:
    text = f"{recording_id}:{expires}".encode("utf-8", "surrogatepass")
    return hmac.new(_KEY, text, hashlib.sha256).hexdigest()


def _check(store: SecretStore, method: str, query: Mapping[str, str]) -> None:
    expires = query.get("expires", "")
    expected = _sign(query.get("id", ""), expires).encode()
    given = query.get(SIGNATURE_QUERY, "").encode("utf-8", "surrogatepass")
    if not hmac.compare_digest(expected, given):
        raise Unauthorized("invalid signature")
    # After the comparison: what is signed here is a number.
    if time.time() > int(expires):
        raise Unauthorized("the link has expired")


SCHEME = SignatureScheme(("id", "expires", SIGNATURE_QUERY), _check)
