"""The server: from a message's bytes to the response."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from threading import Event
from typing import Any

from toolbox.request import RequestInfo
from toolbox.response import StreamResponse
from toolbox.response import TextResponse
from toolbox_mcp.calling import finish
from toolbox_mcp.calling import steps
from toolbox_mcp.catalog import Catalog
from toolbox_mcp.logs import Logs
from toolbox_mcp.protocol import responses
from toolbox_mcp.protocol import revisions
from toolbox_mcp.protocol.in_flight import SESSION_HEADER
from toolbox_mcp.protocol.in_flight import InFlight
from toolbox_mcp.protocol.in_flight import new_session
from toolbox_mcp.protocol.jsonrpc import Message
from toolbox_mcp.protocol.jsonrpc import Reply
from toolbox_mcp.protocol.jsonrpc import RpcError
from toolbox_mcp.protocol.jsonrpc import id_of
from toolbox_mcp.protocol.jsonrpc import is_id
from toolbox_mcp.protocol.jsonrpc import object_of
from toolbox_mcp.protocol.jsonrpc import parse
from toolbox_mcp.protocol.jsonrpc import result_of
from toolbox_mcp.protocol.methods import Methods
from toolbox_mcp.settings import McpSettings
from toolbox_mcp.tool import Call

Response = TextResponse | StreamResponse


class Server:
    """Serves messages. It keeps nothing of a client but its requests in progress."""

    def __init__(
        self, catalog: Catalog, backends: Mapping[str, Any], settings: McpSettings
    ) -> None:
        self._methods = Methods(catalog, backends, settings)
        self._backends = backends
        self._settings = settings
        self._logs = Logs(backends, settings.log_dir)
        self._in_flight = InFlight()

    def receive(self, data: bytes, request: RequestInfo) -> Response:
        """Return the response to a message."""
        try:
            message = parse(data)
            if isinstance(message, Reply):
                return responses.accepted()
            stateless = revisions.is_stateless(message, request.headers)
        except RpcError as error:
            return responses.refusal(id_of(data), error)
        if message.id is None:
            return self._notified(message, request, stateless)
        try:
            return self._respond(message, request, stateless)
        except RpcError as error:
            return responses.error_response(message.id, error, stateless)

    def _notified(self, message: Message, request: RequestInfo, stateless: bool) -> Response:
        # A client of the stateless revision closes the connection instead.
        if message.method == "notifications/cancelled" and not stateless:
            self._in_flight.cancel(request.headers, message.params)
        return responses.accepted()

    def _respond(self, message: Message, request: RequestInfo, stateless: bool) -> Response:
        if stateless:
            revisions.check_envelope(message, request.headers)
        if message.method == "tools/call":
            return self._call(message, request, stateless)
        result = self._methods.call(message.method, message.params, stateless)
        headers = {SESSION_HEADER: new_session()} if message.method == "initialize" else {}
        framed = responses.framed(result, stateless)
        return responses.json_response(result_of(message.id, framed), headers=headers)

    def _call(self, message: Message, request: RequestInfo, stateless: bool) -> Response:
        tool = self._methods.tool(message.params)
        arguments = object_of(message.params, "arguments")
        token = object_of(message.params, "_meta").get("progressToken")
        with contextlib.ExitStack() as stack:
            canceled = stack.enter_context(self._in_flight.entered(request.headers, message.id))
            call = self._new_call(request, canceled, stateless)
            running = steps(tool, call, arguments)

            def respond(result: dict[str, Any]) -> dict[str, Any] | None:
                # Clients take the response to a request that they have canceled for a mistake.
                if canceled.is_set():
                    return None
                return result_of(message.id, responses.framed(result, stateless))

            if is_id(token) and accepts_events(request):
                # The request is in progress until the last event. Closing the stream cancels it,
                # but before 2026-07-28 that has no meaning.
                if stateless:
                    stack.callback(canceled.set)
                end = stack.pop_all().close
                return responses.event_stream(running, token, respond, end)
            found = respond(finish(running))
            return responses.json_response(found) if found else responses.accepted()

    def _new_call(self, request: RequestInfo, canceled: Event, stateless: bool) -> Call:
        gone = request.is_disconnected
        return Call(self._backends, self._settings, self._logs, gone, canceled, stateless)


def accepts_events(request: RequestInfo) -> bool:
    """Report whether the client takes a stream of events as a response."""
    return "text/event-stream" in request.headers.get("Accept", "")
