"""Addresses of sandboxes, which no client sees."""

from __future__ import annotations

import msgspec


class Router(msgspec.Struct, frozen=True, kw_only=True):
    """A router in front of many sandboxes. It takes the headers ``Authorization`` and ``Host`` for
    itself.
    """

    headers: tuple[tuple[str, str], ...]
    """All headers by which it finds a sandbox: one that a client sent would lead it elsewhere."""
    failure: bytes
    """The beginning of the body of a 502 by which it says that it can't reach the sandbox."""


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """The address of a sandbox's own service, and the token that it accepts."""

    host: str
    port: int
    token: str
    at_root: bool = False
    """True if it serves its API at ``/`` only, and not below ``/toolbox/<id>`` as well."""
    accepts_callers: bool = False
    """True if it also accepts the credential that the control plane's callers present, so that a
    caller on this machine may be sent there.
    """
    own_network: bool = False
    """True if the sandbox's loopback isn't this machine's, where others listen, too."""
    router: Router | None = None
    """The router at this address; None if the service itself is there."""
