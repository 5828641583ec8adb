"""Responses to what the parser refused: in our envelope, like those to every other error."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from gunicorn.http.errors import LimitRequestHeaders
from gunicorn.workers.base import Worker

from toolbox.errors import HeadersTooLarge
from toolbox.errors import ToolboxError
from toolbox.errors import from_status
from toolbox.http.envelope import envelope


def refusal(worker: Worker, req: Any, addr: Any, exc: BaseException) -> ToolboxError:
    """Return the error for an exception of gunicorn's parser or of the service, and log it."""
    if isinstance(exc, ToolboxError):
        return exc
    recorder = _Recorder()
    Worker.handle_error(worker, req, recorder, addr, exc)
    if isinstance(exc, LimitRequestHeaders):
        limits = worker.cfg.limit_request_fields, worker.cfg.limit_request_field_size
        return HeadersTooLarge(
            "there are more than {} headers, or one is over {} bytes".format(*limits)
        )
    return from_status(recorder.status, recorder.reason, {})


def error_response(error: ToolboxError, req: Any) -> bytes:
    """Return the whole response, after which the connection is closed."""
    path, method = getattr(req, "path", "") or "", getattr(req, "method", "") or ""
    body = msgspec.json.encode(envelope(error, path, method))
    head = (
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("latin-1") + body


class _Recorder:
    """Stands in for the client: gunicorn chooses a status for an error only by sending it."""

    def __init__(self) -> None:
        self.status = 500
        self.reason = "Internal Server Error"

    def fileno(self) -> int:
        return -1

    def gettimeout(self) -> float:
        return 0.0

    def setblocking(self, blocking: bool) -> None:
        pass

    def sendall(self, data: bytes) -> None:
        line = data.split(b"\r\n", 1)[0].decode("latin-1")
        _, status, self.reason = line.split(" ", 2)
        self.status = int(status)
