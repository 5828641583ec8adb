"""Cursors: the place where a page ended, as a text that belongs to one query.

A cursor is stateless, so that it outlives the service, and holds names instead of counts, so that
changes elsewhere don't shift it. Its digest binds it to the query and finds damage. It is no
signature: a cursor permits nothing that its query doesn't.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any
from typing import TypeVar

import msgspec

from toolbox_files.errors import InvalidCursor

_DIGEST = 12
"""Bytes of the digest."""

T = TypeVar("T")


def to_cursor(place: Any, query: Any) -> str:
    """Return the cursor of ``place``, any JSON value, in the results of ``query``."""
    content = msgspec.json.encode(place)
    text = base64.urlsafe_b64encode(_digest(content, query) + content)
    return text.decode().rstrip("=")


def from_cursor(cursor: str, query: Any, kind: type[T]) -> T:
    """Return the place of a cursor of the same query. Raises InvalidCursor."""
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        digest, content = data[:_DIGEST], data[_DIGEST:]
        if digest == _digest(content, query):
            return msgspec.json.decode(content, type=kind)
    except (binascii.Error, ValueError):
        pass
    raise InvalidCursor("the cursor is not one of this query")


def _digest(content: bytes, query: Any) -> bytes:
    bound = msgspec.json.encode([query, content])
    return hashlib.blake2b(bound, digest_size=_DIGEST, person=b"toolbox-cursor").digest()
