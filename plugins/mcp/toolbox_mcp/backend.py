"""The Protocol of a backend of the group ``mcp``."""

from __future__ import annotations

from typing import Protocol

from toolbox.request import RequestInfo
from toolbox.response import StreamResponse
from toolbox.response import TextResponse


class McpBackend(Protocol):
    """Serves messages of the Model Context Protocol."""

    max_message: int
    """Bytes of the largest message."""

    def admit(self, request: RequestInfo) -> None:
        """Raise Forbidden for a request of a foreign web page, whatever the authentication."""

    def receive(self, data: bytes, request: RequestInfo) -> TextResponse | StreamResponse:
        """Return the response to one message. No message raises an error."""
