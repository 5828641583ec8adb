"""What can go wrong in the group ``port``."""

from __future__ import annotations

from toolbox.errors import BadGateway
from toolbox.errors import BadRequest
from toolbox.errors import RequestTimeout
from toolbox.errors import Unavailable


class InvalidPort(BadRequest):
    """Not a number, or not one of the ports that may be asked for."""


class CallerGone(BadRequest):
    """The client has hung up, so nobody will read this."""


class NothingListens(BadGateway):
    """Nobody accepts connections on the port."""


class BadUpstream(BadGateway):
    """What listens on the port doesn't answer in HTTP."""


class NotOpenedInTime(RequestTimeout):
    """Nobody has begun to listen on the port."""


class TooManyFollowers(Unavailable):
    """As many clients as may follow the ports do so already."""
