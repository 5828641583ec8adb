"""The responses of routers on the way to sandboxes."""

from __future__ import annotations

from itertools import chain
from typing import Any

from werkzeug.wrappers import Response
from werkzeug.wsgi import ClosingIterator

from toolbox.forwarding.errors import BadUpstream
from toolbox.forwarding.errors import NothingListens
from toolbox_fleet.models.addresses import Upstream


def checked(response: Response, upstream: Upstream) -> Response:
    """Return ``response``, which has come from ``upstream``. Raises NothingListens if a router has
    made it, as it can't reach the sandbox: its words tell the client nothing of the sandbox.
    """
    router = upstream.router
    if router is None or response.status_code != 502:
        return response
    exchange: Any = response.response
    body = iter(exchange)
    head = b""
    try:
        while len(head) < len(router.failure) and (data := next(body, b"")):
            head += data
    except ConnectionResetError:
        response.close()
        raise BadUpstream("a response with status 502 broke off") from None
    if head.startswith(router.failure):
        response.close()
        raise NothingListens("the router can't connect to it")
    response.response = ClosingIterator(chain((head,), body), [exchange.close])
    return response
