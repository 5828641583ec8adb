"""Observers of requests and WebSockets: logs, metrics, traces.

The one seam for all of them. An observer is a function that gets a :class:`RequestRecord` for each
request, once its response is sent, and for each WebSocket, once it is closed. Plugins add theirs
with the hook ``toolbox_observer``. Without observers, no records are made.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import msgspec

from toolbox.http.environ import AUTH
from toolbox.http.environ import BODY
from toolbox.http.environ import ERROR
from toolbox.http.environ import OPERATION
from toolbox.http.environ import REQUEST_ID
from toolbox.http.environ import USER
from toolbox.sockets.handler import OnEnd
from toolbox.sockets.handler import OpenSocket

log = logging.getLogger("toolbox")

WEBSOCKET = "WEBSOCKET"


class RequestRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A request or a WebSocket that has ended. Never holds a query, a body or a token."""

    operation: str
    """``<group>.<operation>``; empty if the request was for none."""
    method: str
    """``WEBSOCKET`` for a WebSocket."""
    path: str
    """Decoded, without the service's prefix; bytes that are not UTF-8 are as in WSGI."""
    status: int
    """The status code; 101 for a WebSocket."""
    seconds: float
    """From the head of the request to the last byte of the response, or to the close."""
    received: int
    """Bytes of the body that were read, or of everything a WebSocket's client sent."""
    sent: int
    """Bytes of the body, or of everything sent to a WebSocket's client."""
    complete: bool = True
    """True if the response was sent to its end. If a file wasn't, ``sent`` is 0: not known."""
    close_code: int | None = None
    """Of a WebSocket (RFC 6455, 7.4)."""
    close_reason: str = ""
    error: str = ""
    """The code of the error that was returned, such as ``FILE_NOT_FOUND``."""
    client: str = ""
    """The address that connected: a proxy's, if there is one."""
    forwarded_for: str = ""
    """The addresses behind it, as the client claims."""
    agent: str = ""
    auth: str = ""
    """The credential: ``token``, ``caller``, ``preview``, ``ticket``, ``signature``, or ``none``
    where no token is needed. Empty for an operation that is public, and for a refused request.
    """
    user: str = ""
    """The user's name, if the authenticator knows users."""
    request_id: str = ""
    traceparent: str = ""
    """W3C Trace Context, 3.2, as it was sent."""


Observer = Callable[[RequestRecord], object]
"""Called on the request's thread or the I/O loop's: it must be quick and never block."""


class Observers:
    """All observers. Complete before the service accepts requests."""

    def __init__(self) -> None:
        self._all: tuple[Observer, ...] = ()

    def __bool__(self) -> bool:
        return bool(self._all)

    def add(self, observer: Observer) -> None:
        """Call ``observer`` with every record from now on."""
        # A new tuple: another thread may be in the middle of the old one.
        self._all += (observer,)

    def notify(self, record: RequestRecord) -> None:
        """Call every observer. Their exceptions are logged."""
        for observer in self._all:
            try:
                observer(record)
            except Exception:
                # The response is sent; an observer must not break the connection.
                log.exception("an observer failed")

    def on_end(self, environ: dict[str, Any]) -> OnEnd:
        """Return the callback for the end of the WebSocket that the request ``environ`` opened."""
        if not self._all:
            return _nothing
        # The environment itself would keep the request alive as long as the socket.
        opened = record_from_environ(environ, method=WEBSOCKET, status=101)
        began = time.monotonic()

        def ended(ws: OpenSocket, code: int, reason: str) -> None:
            self.notify(
                msgspec.structs.replace(
                    opened,
                    seconds=time.monotonic() - began,
                    received=ws.received_bytes,
                    sent=ws.sent_bytes,
                    close_code=code,
                    close_reason=reason,
                )
            )

        return ended


def _nothing(ws: OpenSocket, code: int, reason: str) -> None:
    """Do nothing: there are no observers."""


def record_from_environ(environ: dict[str, Any], **more: Any) -> RequestRecord:
    """Make the record of a request from its WSGI environment, with the fields ``more`` added."""
    # Imported late: the master, which makes no records, needs no Werkzeug.
    from toolbox.http.slashes import with_slashes

    get = environ.get
    body = get(BODY)
    fields = {
        "operation": get(OPERATION, ""),
        "method": get("REQUEST_METHOD", ""),
        "path": with_slashes(get("PATH_INFO", "")),
        "seconds": 0.0,
        "received": body.received if body is not None else 0,
        "sent": 0,
        "error": get(ERROR, ""),
        "client": get("REMOTE_ADDR", ""),
        "forwarded_for": get("HTTP_X_FORWARDED_FOR", ""),
        "agent": get("HTTP_USER_AGENT", ""),
        "auth": get(AUTH, ""),
        "user": get(USER, ""),
        "request_id": get(REQUEST_ID, ""),
        "traceparent": get("HTTP_TRACEPARENT", ""),
    }
    return RequestRecord(**{**fields, **more})
