"""The way of a forwarded request: to which server it goes, and how it is changed for it."""

from __future__ import annotations

import msgspec

from toolbox.auth import Credentials


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """The way of one request. Paths here are decoded, and don't end with a slash."""

    hosts: tuple[str, ...]
    """Addresses of the server; one is tried after another."""
    port: int
    authority: str
    """``Host`` of the forwarded request."""
    removed: Credentials
    """The credentials for this service, none of which is forwarded."""
    head: str = ""
    """The path below which the server is reached here, which it doesn't see; empty for none."""
    before: str = ""
    """A path of the server below which the request goes, which the client doesn't see."""
    prefix: str = ""
    """The part of the client's path that the server must add to its own links. It is added to
    ``X-Forwarded-Prefix``.
    """
    origin: str = ""
    """The origin (RFC 6454) of the server's pages as it knows it; empty if it goes by the forwarded
    headers.
    """
    added: tuple[tuple[str, str], ...] = ()
    """Headers that replace those of the same name."""
    replaced: frozenset[str] = frozenset()
    """Names, in lower case, of headers that are left out."""
    peer: str = "the application"
    """The server's name in messages."""
