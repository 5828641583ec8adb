"""The encoding of JSON for clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

Encode = Callable[[Any], bytes]


def encode(value: Any) -> bytes:
    """Return ``value`` as JSON.

    Half a surrogate pair, such as a language server in JavaScript may send, becomes U+FFFD: UTF-8
    can't encode it (RFC 3629, 3).
    """
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_whole(msgspec.to_builtins(value)))


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {_whole(key): _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return value
