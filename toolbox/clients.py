"""What a client can't read is left out for it.

The SDK for Go decoded answers strictly up to 0.187: a field that it didn't know was an error of the
whole call. It tells its version with each request. Every other client leaves alone what it doesn't
know.
"""

from __future__ import annotations

import re
import typing
from functools import cache
from typing import Any

import msgspec
from msgspec import Meta

from toolbox.encoding import Encode
from toolbox.encoding import encode

Version = tuple[int, ...]

LENIENT: Version = (0, 188, 0)
"""The first of the Go SDK that takes any field."""

_VERSION = re.compile(r"v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})")


def since(*version: int) -> Meta:
    """Mark an annotated field by the first of the SDKs that knows it."""
    return Meta(extra={"since": version})


def encoder(environ: dict[str, Any]) -> Encode:
    """What writes an answer as JSON for the client of the request ``environ``."""
    version = _strict_version(environ)
    if version is None:
        return encode
    return lambda value: encode(_known(value, version))


def _strict_version(environ: dict[str, Any]) -> Version | None:
    """That of a client that takes no unknown field, None for any other."""
    if environ.get("HTTP_X_DAYTONA_SOURCE", "").lower() != "sdk-go":
        return None
    match = _VERSION.match(environ.get("HTTP_X_DAYTONA_SDK_VERSION", ""))
    version = tuple(map(int, match.groups())) if match else LENIENT
    return version if version < LENIENT else None


def _known(value: Any, version: Version) -> Any:
    """``value`` in plain types, without the fields that are newer than ``version``."""
    plain = msgspec.to_builtins(value)
    _leave_out(plain, value, version)
    return plain


def _leave_out(plain: Any, value: Any, version: Version) -> None:
    if isinstance(value, msgspec.Struct):
        for name, encoded, added in _fields(type(value)):
            if added > version:
                plain.pop(encoded, None)
            elif encoded in plain:
                _leave_out(plain[encoded], getattr(value, name), version)
    elif isinstance(value, list | tuple):
        for shown, each in zip(plain, value, strict=True):
            _leave_out(shown, each, version)
    elif isinstance(value, dict):
        for key, each in value.items():
            _leave_out(plain.get(key), each, version)


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, str, Version], ...]:
    """Name, name in JSON and the version of each field."""
    return tuple(
        (field.name, field.encode_name, _added(field.type))
        for field in msgspec.structs.fields(kind)
    )


def _added(kind: Any) -> Version:
    for each in typing.get_args(kind)[1:]:
        if isinstance(each, Meta) and each.extra:
            version: Version = each.extra.get("since", ())
            return version
    return ()
