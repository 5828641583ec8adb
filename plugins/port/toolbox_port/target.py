"""Ports as clients name them, and the way of a request to one."""

from __future__ import annotations

from toolbox.auth import Credentials
from toolbox.forwarding.route import Route
from toolbox.request import RequestInfo
from toolbox_port.errors import InvalidPort

HIDDEN_PREFIX = "X-Toolbox-Hidden-Prefix"
"""Header with the ``/proxy/{port}`` that a proxy in front has put before the path: the client
doesn't see it, so the application must not add it to links.
"""

LOOPBACK = ("127.0.0.1", "::1")
"""Node's servers listen on ::1 only if "localhost" resolves to that first."""


def parse_port(text: str, low: int = 1, high: int = 65535) -> int:
    """Return the port that ``text`` names, in digits only: anything else could name another host.

    Raises InvalidPort.
    """
    # str.isdigit() accepts digits of every script, and int() a sign and spaces.
    if text.isascii() and text.isdigit() and len(text) <= 5 and low <= int(text) <= high:
        return int(text)
    raise InvalidPort(f"port must be a number from {low} to {high}")


def route_to(port: int, request: RequestInfo, head: str, credentials: Credentials) -> Route:
    """Return the way to ``port`` of this machine, below ``head`` here, without ``credentials``."""
    hidden = request.headers.get(HIDDEN_PREFIX) == head
    # An empty head stays empty: the application gets the whole path.
    path = request.environ.get("SCRIPT_NAME", "") + head if head else ""
    # Development servers refuse hosts that they don't know, by DNS rebinding (Vite, webpack).
    authority = f"localhost:{port}"
    return Route(
        hosts=LOOPBACK,
        port=port,
        authority=authority,
        head=path,
        prefix="" if hidden else path,
        origin=f"http://{authority}",
        removed=credentials,
        replaced=frozenset({HIDDEN_PREFIX.lower()}),
    )
