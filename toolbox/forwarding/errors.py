"""Errors of forwarding: the other server is at fault."""

from __future__ import annotations

from toolbox.errors import BadGateway


class NothingListens(BadGateway):
    """Nothing accepts connections on the port."""


class BadUpstream(BadGateway):
    """The response of what listens on the port is not HTTP, or incomplete."""
