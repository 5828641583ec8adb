"""Responses: one JSON object, or a stream of events whose last is that object."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import msgspec

from toolbox.response import StreamResponse
from toolbox.response import TextResponse
from toolbox_mcp.calling import Steps
from toolbox_mcp.protocol.jsonrpc import STATUSES
from toolbox_mcp.protocol.jsonrpc import Id
from toolbox_mcp.protocol.jsonrpc import RpcError
from toolbox_mcp.protocol.jsonrpc import error_of
from toolbox_mcp.protocol.methods import SERVER
from toolbox_mcp.tool import Progress

JSON = "application/json"

_encode = msgspec.json.encode


def framed(result: dict[str, Any], stateless: bool) -> dict[str, Any]:
    """Return a result with what every one has since 2026-07-28."""
    if not stateless:
        return result
    meta = {"io.modelcontextprotocol/serverInfo": SERVER}
    return {**result, "resultType": "complete", "_meta": meta}


def json_response(
    value: Any, status: int = 200, headers: dict[str, str] | None = None
) -> TextResponse:
    """Return one JSON object."""
    return TextResponse(_encode(value), JSON, status, headers or {})


def accepted() -> TextResponse:
    """Return the response to a notification."""
    return TextResponse(b"", JSON, 202)


def error_response(identifier: Id, error: RpcError, stateless: bool) -> TextResponse:
    """Return an error, with a status of its own where the revision has one."""
    status = STATUSES.get(error.code, 200) if stateless else 200
    return json_response(error_of(identifier, error), status)


def refusal(identifier: Id, error: RpcError) -> TextResponse:
    """Return the response to what is no message of any revision."""
    return json_response(error_of(identifier, error), STATUSES.get(error.code, 400))


def event_stream(
    running: Steps, token: Any, finish: Callable[[dict[str, Any]], Any], end: Callable[[], object]
) -> StreamResponse:
    """Return a stream of a tool's progress and, at its end, what ``finish`` makes of its result,
    unless that is None.

    ``end`` is called at its end, whatever came of it, and before a tool that is running is closed.
    """
    # Proxies must pass on each event at once.
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    chunks = _Events(_events(running, token, finish), running, end)
    return StreamResponse(chunks, "text/event-stream", headers=headers)


class _Events:
    """The chunks of a stream. A client that disconnects closes them, even before the first."""

    def __init__(self, events: Iterator[bytes], running: Steps, end: Callable[[], object]) -> None:
        self._events = events
        self._running = running
        self._end = end

    def __iter__(self) -> Iterator[bytes]:
        return self._events

    def close(self) -> None:
        """End the tool, if it is still running."""
        self._end()
        self._running.close()


def _events(running: Steps, token: Any, finish: Callable[[dict[str, Any]], Any]) -> Iterator[bytes]:
    while True:
        try:
            yield _event(_notification(next(running), token))
        except StopIteration as end:
            last = finish(end.value)
            if last is not None:
                yield _event(last)
            return


def _event(value: Any) -> bytes:
    return b"event: message\ndata: " + _encode(value) + b"\n\n"


def _notification(progress: Progress, token: Any) -> dict[str, Any]:
    params: dict[str, Any] = {"progressToken": token, "progress": progress.progress}
    if progress.total is not None:
        params["total"] = progress.total
    if progress.message:
        params["message"] = progress.message
    return {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}
