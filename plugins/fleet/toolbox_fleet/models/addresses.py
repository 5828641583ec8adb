"""Addresses of sandboxes, which no client sees."""

from __future__ import annotations

import msgspec


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
    headers: tuple[tuple[str, str], ...] = ()
    """Headers that every request there needs: a router finds the sandbox by them."""
    drops_authorization: bool = False
    """True if a router on the way takes the header ``Authorization`` for itself."""
