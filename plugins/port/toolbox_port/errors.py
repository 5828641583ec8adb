"""Errors of the group ``port``."""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.errors import RequestTimeout
from toolbox.errors import Unavailable


class InvalidPort(BadRequest):
    """Not a number, or not in the range of the operation."""


class NotOpenedInTime(RequestTimeout):
    """Nothing has started to listen on the port in time."""


class TooManyFollowers(Unavailable):
    """The limit of clients that follow the ports is reached."""
