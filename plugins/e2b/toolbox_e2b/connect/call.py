"""One call of a procedure: the facts in its headers."""

from __future__ import annotations

import re
import threading

import msgspec

from toolbox.errors import Unavailable
from toolbox.request import RequestInfo
from toolbox_e2b.connect.streams import ClientGone
from toolbox_e2b.errors import InvalidArgument
from toolbox_e2b.users import check_user
from toolbox_e2b.users import user_of

KEEPALIVE = 90.0
"""Seconds between signs of life on a silent stream, unless the client wants another number."""

SHORTEST = 1.0


class Call(msgspec.Struct, frozen=True):
    """A call, with the time it may take in seconds (None: no limit)."""

    request: RequestInfo
    timeout: float | None
    keepalive: float
    stopping: threading.Event
    """Set when the service stops."""

    def check(self) -> None:
        """Raise ClientGone if nobody waits for more, Unavailable if the service stops."""
        # Nothing else tells that the client is gone: a silent program makes no write fail.
        if self.request.is_disconnected():
            raise ClientGone
        if self.stopping.is_set():
            raise Unavailable("the service is stopping")


def call_of(request: RequestInfo, stopping: threading.Event) -> Call:
    """Return the call that ``request`` makes. Raises InvalidArgument, OtherUser."""
    check_user(user_of(request))
    return Call(request, _timeout(request), _keepalive(request), stopping)


def _timeout(request: RequestInfo) -> float | None:
    # Without it there is no limit.
    text = request.headers.get("Connect-Timeout-Ms")
    if text is None:
        return None
    # Ten digits at most, says the protocol.
    if not re.fullmatch("[0-9]{1,10}", text):
        raise InvalidArgument("Connect-Timeout-Ms must be a number of milliseconds")
    return int(text) / 1000


def _keepalive(request: RequestInfo) -> float:
    text = request.headers.get("Keepalive-Ping-Interval", "")
    # A wish, not a promise: one that makes no sense is no reason to refuse the call.
    if not re.fullmatch("[0-9]{1,6}", text):
        return KEEPALIVE
    return max(SHORTEST, float(text))
