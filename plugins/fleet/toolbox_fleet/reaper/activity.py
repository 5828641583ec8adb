"""The activity of a sandbox, as its own service tells it."""

from __future__ import annotations

import socket
from contextlib import suppress
from http.client import HTTPConnection
from http.client import HTTPException
from typing import Annotated

import msgspec
from msgspec import Meta

from toolbox.auth.presented import PREVIEW_HEADER
from toolbox.auth.tokens import derive_preview_token
from toolbox.http.decoding import decode_frame
from toolbox.sockets.loop import Loop
from toolbox_fleet.models.addresses import Upstream

PATH = "/x/activity"

TIMEOUT = 10.0
"""Seconds that a sandbox may take for the whole response."""

LONGEST = 64 * 1024
"""Bytes of a response at most."""


class NoResponse(Exception):
    """The sandbox does not tell: it is frozen, overloaded, or an older service."""


class Activity(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The latest activity of a sandbox."""

    idle_seconds: Annotated[float, Meta(ge=0)]
    """Seconds since the last request, input or output. Never in the future: that would be an
    activity until then, whatever the sandbox tells later.
    """
    busy: bool = False
    """True while a job runs or somebody waits for something."""


def ask(upstream: Upstream, loop: Loop) -> Activity:
    """Return the activity of the sandbox at ``upstream``. Raises NoResponse."""
    connection = HTTPConnection(upstream.host, upstream.port, timeout=TIMEOUT)
    # The connection's timeout is that of one step. What runs in the sandbox isn't trusted: it may
    # send a byte at a time for ever, to hold up the others.
    limit = None
    try:
        connection.connect()
        # Kept, as the connection forgets it with the head of a response that ends with it.
        sock = connection.sock
        limit = loop.call_later(TIMEOUT, lambda: _break(sock))
        headers = dict(upstream.router.headers) if upstream.router is not None else {}
        if upstream.token and upstream.router is not None:
            headers[PREVIEW_HEADER] = derive_preview_token(upstream.token.encode(), "*")
        elif upstream.token:
            headers["Authorization"] = f"Bearer {upstream.token}"
        connection.request("GET", PATH, headers=headers)
        response = connection.getresponse()
        data = response.read(LONGEST)
        if response.status != 200:
            raise NoResponse(f"status {response.status}")
        activity: Activity = decode_frame(data, Activity)
        return activity
    except (OSError, HTTPException, msgspec.DecodeError, ValueError) as error:
        raise NoResponse(f"{type(error).__name__}: {error}") from None
    finally:
        if limit is not None:
            limit.cancel()
        connection.close()


def _break(sock: socket.socket) -> None:
    with suppress(OSError):  # Closed meanwhile.
        sock.shutdown(socket.SHUT_RDWR)
