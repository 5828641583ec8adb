"""JSON that is written for clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

Encode = Callable[[Any], bytes]


def encode(value: Any) -> bytes:
    """``value`` as JSON. Half a surrogate pair, which a program of others may have said (a language
    server in JavaScript), is U+FFFD: no UTF-8 has it (RFC 3629, 3).
    """
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_whole(msgspec.to_builtins(value)))


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {_whole(key): _whole(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return value
