"""The group ``mcp`` and its operations, at one path."""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.errors import ContentTooLarge
from toolbox.errors import Forbidden
from toolbox.group import Group
from toolbox.http.envelope import ErrorResponse
from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.response import StreamResponse
from toolbox.response import TextResponse
from toolbox_mcp.backend import McpBackend
from toolbox_mcp.protocol.jsonrpc import Failure
from toolbox_mcp.settings import McpSettings

group = Group(
    "mcp",
    backend=McpBackend,
    default_backend="local",
    settings=McpSettings,
    summary="Tools for agents over the Model Context Protocol",
    # Of the core, before a message is read, and of the protocol.
    error_types=(ErrorResponse, Failure),
)


@group.post(
    "/mcp",
    errors=(BadRequest, Forbidden, ContentTooLarge),
    content_type="application/json",
    other_statuses=(202,),
)
def post_mcp_message(
    backend: McpBackend, body: Body, request: RequestInfo
) -> TextResponse | StreamResponse:
    """Receive a message of the Model Context Protocol.

    Revision 2026-07-28, and 2025-11-25 and older ones for clients that begin with ``initialize``. A
    request for progress is responded to with a stream of events.
    """
    backend.admit(request)
    return backend.receive(body.read_all(backend.max_message), request)


@group.operation("/mcp", "GET", "DELETE", status=405, content_type="text/plain")
def refuse_mcp_stream(backend: McpBackend) -> TextResponse:
    """Refuse a stream of the server's own messages, and the end of a session: there is neither."""
    # Clients of older revisions try both, and take this status for a plain no.
    return TextResponse("send messages by POST", headers={"Allow": "POST"})
