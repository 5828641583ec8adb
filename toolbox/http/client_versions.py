"""Omission of response fields that old clients reject.

Up to 0.187 the SDK for Go decoded responses strictly: an unknown field failed the whole call. It
sends its version with each request. Every other client ignores unknown fields.
"""

from __future__ import annotations

import re
import typing
from functools import cache
from typing import Any

import msgspec
from msgspec import Meta

from toolbox.http.encoding import Encode
from toolbox.http.encoding import encode

Version = tuple[int, ...]

LENIENT: Version = (0, 188, 0)
"""The first version of the Go SDK that accepts unknown fields."""

_VERSION = re.compile(r"v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})")


def since(*version: int) -> Meta:
    """Return the mark of an annotated field: the first SDK version that knows it."""
    return Meta(extra={"since": version})


def encoder(environ: dict[str, Any]) -> Encode:
    """Return a function that encodes a response as JSON for the client of a request."""
    # Nearly every client: no second pass over the response.
    version = _strict_version(environ)
    if version is None:
        return encode
    return lambda value: encode(_known(value, version))


def _strict_version(environ: dict[str, Any]) -> Version | None:
    """Return the version of a client that rejects unknown fields, None for any other."""
    if environ.get("HTTP_X_DAYTONA_SOURCE", "").lower() != "sdk-go":
        return None
    match = _VERSION.match(environ.get("HTTP_X_DAYTONA_SDK_VERSION", ""))
    # A version in an unknown format is newer than those that are strict.
    version = tuple(map(int, match.groups())) if match else LENIENT
    return version if version < LENIENT else None


def _known(value: Any, version: Version) -> Any:
    """Return ``value`` in plain types, without fields that are newer than ``version``."""
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
        for shown, item in zip(plain, value, strict=True):
            _leave_out(shown, item, version)
    elif isinstance(value, dict):
        for key, item in value.items():
            _leave_out(plain.get(key), item, version)


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, str, Version], ...]:
    """Return name, JSON name and version of each field."""
    return tuple(
        (field.name, field.encode_name, _added(field.type))
        for field in msgspec.structs.fields(kind)
    )


def _added(kind: Any) -> Version:
    for meta in typing.get_args(kind)[1:]:
        if isinstance(meta, Meta) and meta.extra:
            version: Version = meta.extra.get("since", ())
            return version
    return ()
