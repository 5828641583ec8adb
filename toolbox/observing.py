"""What has ended, told to whoever wants to know: logs, metrics, traces.

The one seam for all of them. An observer is a function that gets an :class:`Ended` for each
request, once its answer is sent, and for each WebSocket, once it is closed. Plugins add theirs
with the hook ``toolbox_observer``. Where there is none nothing is gathered.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any

import msgspec

if TYPE_CHECKING:
    from toolbox.handoff import OnEnd
    from toolbox.handoff import OpenSocket

log = logging.getLogger("toolbox")

OPERATION = "toolbox.operation"
AUTH = "toolbox.auth"
ERROR = "toolbox.error"
REQUEST_ID = "toolbox.request_id"
BODY = "toolbox.body"
"""Where the application leaves in the WSGI environment what observers are told."""

WEBSOCKET = "WEBSOCKET"


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A request or a WebSocket that has ended. Never a query, a body or a token."""

    operation: str
    """``<group>.<operation>``; empty if the request was for none."""
    method: str
    """``WEBSOCKET`` for a WebSocket."""
    path: str
    """Decoded, without the service's prefix; bytes that are not UTF-8 as of WSGI."""
    status: int
    """Of the answer; 101 for a WebSocket."""
    seconds: float
    """From the head of the request to the last byte of the answer, or to the close."""
    received: int
    """Bytes of the body that were read, or of everything a WebSocket's client sent."""
    sent: int
    """Bytes of the body, or of everything sent to a WebSocket's client."""
    complete: bool = True
    """Whether the answer was sent to its end. Of a file broken off ``sent`` is not known: 0."""
    close_code: int | None = None
    """Of a WebSocket (RFC 6455, 7.4)."""
    close_reason: str = ""
    error: str = ""
    """The code of the error that was answered, ``FILE_NOT_FOUND`` say."""
    client: str = ""
    """The address of whoever connected: of a proxy, if there is one."""
    forwarded_for: str = ""
    """What the client says of the addresses behind it."""
    agent: str = ""
    auth: str = ""
    """What let the request in: ``token``, ``preview``, ``ticket``, ``signature``, or ``none`` where
    no token is needed.
    Empty for an operation that is public, and for a request that was refused.
    """
    request_id: str = ""
    traceparent: str = ""
    """W3C Trace Context, 3.2, as it was sent."""


Observer = Callable[[Ended], object]
"""Called on the request's thread or the I/O loop's: it must be quick and never block."""


class Observers:
    """Everybody who wants to know. Filled before the service accepts requests."""

    def __init__(self) -> None:
        self._all: tuple[Observer, ...] = ()

    def __bool__(self) -> bool:
        return bool(self._all)

    def add(self, observer: Observer) -> None:
        """Tell ``observer``, too."""
        self._all += (observer,)

    def tell(self, ended: Ended) -> None:
        """Tell everybody."""
        for observer in self._all:
            try:
                observer(ended)
            except Exception:
                # The answer is sent; whoever counts it must not break the connection.
                log.exception("an observer failed")

    def on_end(self, environ: dict[str, Any]) -> OnEnd:
        """What to call when the WebSocket opened by the request ``environ`` has ended."""
        if not self._all:
            return _nothing
        # The environment itself would keep the request alive as long as the socket.
        opened = describe(environ, method=WEBSOCKET, status=101)
        began = time.monotonic()

        def ended(ws: OpenSocket, code: int, reason: str) -> None:
            self.tell(
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
    """Nobody wants to know."""


def describe(environ: dict[str, Any], **more: Any) -> Ended:
    """What the WSGI environment tells of a request; ``more`` are fields of :class:`Ended`."""
    # Imported late: the master, which describes nothing, needs no Werkzeug.
    from toolbox.slashes import with_slashes

    get = environ.get
    body = get(BODY)
    told = {
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
        "request_id": get(REQUEST_ID, ""),
        "traceparent": get("HTTP_TRACEPARENT", ""),
    }
    return Ended(**{**told, **more})
