"""A client that sends what the tests want, be it right or wrong."""

from __future__ import annotations

import itertools
from typing import Any

import httpx

from toolbox.testing import Service

STATELESS = "2026-07-28"

META = {
    "io.modelcontextprotocol/protocolVersion": STATELESS,
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


def headers_of(method: str, params: dict[str, Any]) -> dict[str, str]:
    """The headers of a request of the stateless revision."""
    found = {"MCP-Protocol-Version": STATELESS, "Mcp-Method": method}
    name = params.get("name", params.get("uri"))
    return {**found, "Mcp-Name": name} if name is not None else found


class McpClient:
    """Requests of the stateless revision, and calls of tools."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._ids = itertools.count(1)

    def post(self, content: bytes | str, **headers: str) -> httpx.Response:
        """Send any message."""
        kind = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        return self.service.http.post("/mcp", content=content, headers={**kind, **headers})

    def send(
        self, method: str, params: dict[str, Any] | None = None, **meta: Any
    ) -> httpx.Response:
        """Send a request as it should be, with ``meta`` added to its ``_meta``."""
        params = params or {}
        body = {
            "jsonrpc": "2.0",
            "id": next(self._ids),
            "method": method,
            "params": {**params, "_meta": META},
        }
        return self.service.http.post("/mcp", json=body, headers=headers_of(method, params))

    def request(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the result of a request."""
        answer = self.send(method, params)
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()["result"]
        assert result["resultType"] == "complete"
        return result

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Return the result of a tool."""
        return self.request("tools/call", {"name": tool, "arguments": arguments})

    def text(self, tool: str, **arguments: Any) -> str:
        """Return the text of a tool that works."""
        result = self.call(tool, **arguments)
        assert not result.get("isError"), result
        return "".join(block["text"] for block in result["content"])

    def failure(self, tool: str, **arguments: Any) -> str:
        """Return the text of a tool that fails."""
        result = self.call(tool, **arguments)
        assert result.get("isError"), result
        (block,) = result["content"]
        found: str = block["text"]
        return found

    def structured(self, tool: str, **arguments: Any) -> Any:
        """Return the structured result of a tool that works."""
        result = self.call(tool, **arguments)
        assert not result.get("isError"), result
        return result["structuredContent"]
