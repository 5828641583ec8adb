"""Which form of a log a client understands: it has changed with the versions of the SDKs.

Versions as of the Daytona SDKs: from 0.167 on the answer is JSON with the streams apart; from 0.27
on a log is text in which a marker of three bytes stands before each piece of a stream; before, it
is both streams together.
"""

from __future__ import annotations

import re
from enum import Enum

from toolbox_process.session_models import ClientHeaders

VERSION_SUBPROTOCOL = "X-Daytona-SDK-Version~"
"""Browsers can't set headers on a WebSocket; the version travels as a subprotocol."""

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")


class Dialect(Enum):
    """The forms of a log."""

    JSON = "json"
    MARKED = "marked"
    PLAIN = "plain"


def client_version(headers: ClientHeaders) -> str:
    """The SDK's version, empty if it tells none."""
    if headers.version:
        return headers.version
    for token in ",".join(headers.subprotocols).split(","):
        if token.strip().startswith(VERSION_SUBPROTOCOL):
            return token.strip().removeprefix(VERSION_SUBPROTOCOL)
    return ""


def is_java(agent: str) -> bool:
    """Whether a WebSocket is the Java SDK's, which says no more of itself than its library does."""
    return agent.lower().startswith("okhttp/")


def _numbers(version: str) -> tuple[int, int, int] | None:
    match = _VERSION.match(version)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def http_dialect(headers: ClientHeaders) -> Dialect:
    """The form of an HTTP answer."""
    version = client_version(headers)
    numbers = _numbers(version)
    if "dev" in version or (numbers is not None and numbers >= (0, 167, 0)):
        return Dialect.JSON
    if numbers is not None:
        return Dialect.MARKED if numbers >= (0, 27, 0) else Dialect.PLAIN
    # An SDK that doesn't know its own version still says that it takes JSON.
    if "application/json" in headers.accept.lower():
        return Dialect.JSON
    return Dialect.MARKED if headers.split_output == "true" else Dialect.PLAIN


def socket_dialect(headers: ClientHeaders) -> Dialect:
    """The form of a followed log: marked or plain."""
    version = client_version(headers)
    numbers = _numbers(version)
    if "dev" in version or (numbers is not None and numbers >= (0, 27, 0)):
        return Dialect.MARKED
    if numbers is None and (headers.split_output == "true" or is_java(headers.agent)):
        return Dialect.MARKED
    return Dialect.PLAIN


def starts_at_home(headers: ClientHeaders) -> bool:
    """Whether the client expects a session to start in the home directory, as once it did."""
    version = client_version(headers)
    numbers = _numbers(version)
    return numbers is not None and numbers < (0, 103, 0) and version != "0.0.0-dev"
