"""The form of a log that a client understands, by the version of its SDK.

From 0.167 of the Daytona SDKs on, a response is JSON with the streams apart; from 0.27 on, text in
which a marker of three bytes precedes each piece of a stream; before, both streams together.
"""

from __future__ import annotations

import re
from enum import Enum

from toolbox_process.sessions.models import ClientHeaders
from toolbox_process.wire.clients import is_java
from toolbox_process.wire.clients import sdk_version

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")


class Dialect(Enum):
    """The forms of a log."""

    JSON = "json"
    MARKED = "marked"
    PLAIN = "plain"


def _numbers(version: str) -> tuple[int, int, int] | None:
    match = _VERSION.match(version)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def http_dialect(headers: ClientHeaders) -> Dialect:
    """Return the form of an HTTP response."""
    version = sdk_version(headers.version, headers.subprotocols)
    numbers = _numbers(version)
    # Development builds have no number that could be compared; they are the newest.
    if "dev" in version or (numbers is not None and numbers >= (0, 167, 0)):
        return Dialect.JSON
    if numbers is not None:
        return Dialect.MARKED if numbers >= (0, 27, 0) else Dialect.PLAIN
    # An SDK that doesn't know its own version still sends that it accepts JSON.
    if "application/json" in headers.accept.lower():
        return Dialect.JSON
    return Dialect.MARKED if headers.split_output == "true" else Dialect.PLAIN


# A followed log has no JSON form: clients would need the whole to parse it.
def socket_dialect(headers: ClientHeaders) -> Dialect:
    """Return the form of a followed log: marked or plain."""
    version = sdk_version(headers.version, headers.subprotocols)
    numbers = _numbers(version)
    if "dev" in version or (numbers is not None and numbers >= (0, 27, 0)):
        return Dialect.MARKED
    if numbers is None and (headers.split_output == "true" or is_java(headers.agent)):
        return Dialect.MARKED
    return Dialect.PLAIN


def starts_at_home(headers: ClientHeaders) -> bool:
    """Report whether the client is so old that its sessions start in the home directory."""
    version = sdk_version(headers.version, headers.subprotocols)
    numbers = _numbers(version)
    return numbers is not None and numbers < (0, 103, 0) and version != "0.0.0-dev"
