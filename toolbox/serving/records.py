"""Records for observers, of requests that gunicorn has served or its parser has refused."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from typing import Any

from toolbox.http.gunicorn_ import sent_bytes
from toolbox.observing import RequestRecord
from toolbox.observing import record_from_environ

if TYPE_CHECKING:
    from toolbox.errors import ToolboxError
    from toolbox.serving.exchange.exchanging import Exchange


def record_of_request(exchange: Exchange) -> RequestRecord | None:
    """Return the record of a request, None if it became a WebSocket or its error is recorded by
    :func:`record_of_refusal`.
    """
    environ, response = exchange.environ, exchange.response
    if response is None or response.status is None:
        return None
    return record_from_environ(
        environ,
        status=response.status_code,
        seconds=time.monotonic() - exchange.began,
        sent=sent_bytes(response) if exchange.complete else response.sent,
        complete=exchange.complete,
    )


def record_of_refusal(error: ToolboxError, req: Any, addr: Any, sent: int) -> RequestRecord:
    """Return the record of a request that was refused by the parser or the worker, with ``sent``
    bytes of response.
    """
    return RequestRecord(
        operation="",
        method=getattr(req, "method", "") or "",
        path=getattr(req, "path", "") or "",
        status=error.status,
        seconds=0.0,
        received=0,
        sent=sent,
        error=error.code,
        client=str((addr or ("",))[0]),
    )
