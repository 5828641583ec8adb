"""Errors of the group ``fleet``."""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.errors import Conflict
from toolbox.errors import Forbidden
from toolbox.errors import NotFound
from toolbox.errors import NotSupported
from toolbox.errors import Unavailable


class NoSuchSandbox(NotFound):
    """No sandbox has this id or name."""


class NoSuchResource(NotFound):
    """No snapshot, volume, secret or warm pool has this id or name."""


class NoSigningKey(NotFound):
    """No key is configured, so no signed URL is valid."""


class NameTaken(Conflict):
    """Another resource of the kind has this name."""


class WrongState(Conflict):
    """The state of the sandbox doesn't allow the operation."""


class InUse(Conflict):
    """A resource that sandboxes still use can't be deleted."""


class Refused(Forbidden):
    """The settings don't allow the operation."""


class ForeignPort(Forbidden):
    """The port belongs to the control plane or another sandbox's service."""


class InvalidHost(BadRequest):
    """The ``Host`` header is not a host with an optional port."""


class InvalidPort(BadRequest):
    """Not a TCP port."""


class InvalidValue(BadRequest):
    """A value that the resource can't have: a name, a label, an interval, a filter."""


class UnsupportedProtocol(BadRequest):
    """A protocol other than Engine.IO 4 over WebSocket."""


class Unsupported(NotSupported):
    """The backend in use can't do it; the message says what would be needed."""


class NoCapacity(Unavailable):
    """The limit of sandboxes is reached."""
