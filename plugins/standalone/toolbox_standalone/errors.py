"""What can go wrong in the group ``standalone``."""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.errors import NotFound


class NoSuchSandbox(NotFound):
    """The id is none a URL could hold."""


class NoSigningKey(NotFound):
    """No key is configured, so no signed URL would be right."""


class InvalidHost(BadRequest):
    """The ``Host`` header is none an address could be made of."""


class InvalidPort(BadRequest):
    """The port is none of TCP's."""


class UnsupportedProtocol(BadRequest):
    """Another protocol than Engine.IO 4 over WebSocket."""
