"""The Model Context Protocol over HTTP: revision 2026-07-28, and 2025-11-25 with its handshake."""

from __future__ import annotations

from typing import Any

from toolbox.conformance.cases import Call
from toolbox.conformance.cases import Case
from toolbox.conformance.cases import Table
from toolbox.conformance.matching import Has
from toolbox.conformance.matching import Holds

STATELESS = "2026-07-28"
HANDSHAKE = "2025-11-25"

VERSION = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
META = {
    VERSION: STATELESS,
    "io.modelcontextprotocol/clientInfo": {"name": "conformance", "version": "1"},
    CAPABILITIES: {},
}
ACCEPT = {"Accept": "application/json, text/event-stream"}

PARSE, REQUEST, METHOD, PARAMS = -32700, -32600, -32601, -32602
MISMATCH, UNSUPPORTED, RESOURCE = -32020, -32022, -32002


def headers_of(method: str, params: dict[str, Any], **changed: str) -> dict[str, str]:
    """Return the headers that repeat what a request says; ``_`` in names of others is ``-``."""
    name = params.get("name", params.get("uri"))
    repeated = {"Mcp-Name": name} if name is not None else {}
    found = {**ACCEPT, "MCP-Protocol-Version": STATELESS, "Mcp-Method": method, **repeated}
    return found | {key.replace("_", "-"): value for key, value in changed.items()}


def message(method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a request."""
    return {"jsonrpc": "2.0", "id": "{id}", "method": method, "params": params or {}}


def answer(has: Any = None, error: int = 0) -> dict[str, Any]:
    """Return what a response has: a result, or an error of that code."""
    found = {"error": {"code": error, "message": str}} if error else {"result": has or {}}
    return {"jsonrpc": "2.0", "id": "{id}", **found}


def stateless(
    method: str, params: dict[str, Any] | None = None, has: Any = None, **options: Any
) -> Call:
    """Return a request of revision 2026-07-28 that works."""
    params = params or {}
    result = {"resultType": "complete", **(has or {})}
    return Call(
        "POST",
        "",
        json=message(method, {**params, "_meta": META}),
        headers=headers_of(method, params),
        has=answer(result),
        **options,
    )


def refused(
    method: str,
    error: int,
    params: dict[str, Any] | None = None,
    meta: dict[str, Any] | None = None,
    status: int = 400,
    **headers: str,
) -> Call:
    """Return a request of revision 2026-07-28 that is refused with an error's code."""
    params = params or {}
    return Call(
        "POST",
        "",
        json=message(method, {**params, "_meta": META if meta is None else meta}),
        headers=headers_of(method, params, **headers),
        status=status,
        has=answer(error=error),
    )


def older(
    method: str, params: dict[str, Any] | None = None, error: int = 0, has: Any = None
) -> Call:
    """Return a request of revision 2025-11-25, whose errors have no status of their own."""
    headers = {**ACCEPT, "MCP-Protocol-Version": HANDSHAKE}
    return Call("POST", "", json=message(method, params), headers=headers, has=answer(has, error))


def initialize(version: str, agreed: Any) -> Call:
    """Return the request that begins a session."""
    client = {"clientInfo": {"name": "conformance", "version": "1"}, "capabilities": {}}
    params = {"protocolVersion": version, **client}
    has = {"protocolVersion": agreed, "capabilities": dict, "serverInfo": {"name": str}}
    return Call("POST", "", json=message("initialize", params), headers=ACCEPT, has=answer(has))


def raw(body: bytes, status: int, has: Any = None, **headers: str) -> Call:
    """Return a request with any body."""
    kind = {"Content-Type": "application/json", **ACCEPT, **headers}
    return Call("POST", "", body=body, headers=kind, status=status, has=has)


NOTIFIED = b'{"jsonrpc": "2.0", "method": "notifications/%s"}'
A_TOOL = {"name": str, "description": str, "inputSchema": {"type": "object"}}
CALL = {"name": "no_such_tool", "arguments": {}}

REVISION = (
    Case(
        "discover",
        [
            stateless(
                "server/discover",
                has={"supportedVersions": Holds(STATELESS), "capabilities": {"tools": {}}},
            )
        ],
    ),
    Case("a list of tools", [stateless("tools/list", has={"tools": Holds(A_TOOL)})]),
    # Without these clients ask again each time, or never.
    Case(
        "how long a list is kept", [stateless("tools/list", has={"ttlMs": int, "cacheScope": str})]
    ),
    Case("an unknown method", [refused("tools/nothing", METHOD, status=404)]),
    # Sessions and their methods ended with this revision.
    Case("no ping any more", [refused("ping", METHOD, status=404)]),
    Case("an unknown tool", [refused("tools/call", PARAMS, CALL)]),
    # A gateway in front may have judged the request by its headers.
    Case("no method in the headers", [refused("tools/list", MISMATCH, Mcp_Method="")]),
    Case("another method in the headers", [refused("tools/list", MISMATCH, Mcp_Method="ping")]),
    Case("another name in the headers", [refused("tools/call", MISMATCH, CALL, Mcp_Name="kill")]),
    Case(
        "another revision in the headers",
        [refused("tools/list", MISMATCH, MCP_Protocol_Version=HANDSHAKE)],
    ),
    # A header is ASCII, so such names come in base64; the call fails by its tool only.
    Case(
        "a name beyond ASCII",
        [
            refused(
                "tools/call",
                PARAMS,
                {"name": "schl\u00fcssel", "arguments": {}},
                Mcp_Name="=?base64?c2NobMO8c3NlbA==?=",
            )
        ],
    ),
    Case("no _meta", [refused("tools/list", PARAMS, meta={})]),
    # The error names those that there are, and clients try again with one.
    Case(
        "an unknown revision",
        [
            refused(
                "tools/list",
                UNSUPPORTED,
                meta={**META, VERSION: "2099-01-01"},
                MCP_Protocol_Version="2099-01-01",
            )
        ],
    ),
    Case("not JSON", [raw(b"{", 400, {"error": {"code": PARSE}})]),
    # The id can't be repeated where there was no message.
    Case("not JSON-RPC", [raw(b'{"id": 1, "method": "x"}', 400, {"error": {"code": REQUEST}})]),
    # DNS rebinding: the page has no token, but servers without one exist.
    Case("a foreign page", [raw(NOTIFIED % b"x", 403, Origin="https://evil.example")]),
    Case("no token", [Call("POST", "", json=message("server/discover"), status=401, open=True)]),
)
SESSION = (
    Case("initialize", [initialize(HANDSHAKE, HANDSHAKE)]),
    # The server offers what it has, and the client may leave.
    Case("an unknown revision is negotiated", [initialize("1999-01-01", Has("20"))]),
    # Notifications have no response, so no body either.
    Case("initialized", [raw(NOTIFIED % b"initialized", 202)]),
    Case("a notification that is unknown", [raw(NOTIFIED % b"nothing", 202)]),
    Case("ping", [older("ping")]),
    Case("a list of tools", [older("tools/list", has={"tools": Holds(A_TOOL)})]),
    Case("an unknown method", [older("tools/nothing", error=METHOD)]),
    # An error of the protocol, not of the tool.
    Case("an unknown tool", [older("tools/call", CALL, error=PARAMS)]),
    Case("a call without a name", [older("tools/call", {"arguments": {}}, error=PARAMS)]),
    Case(
        "a revision that nobody has agreed on",
        [raw(NOTIFIED % b"x", 400, **{"MCP-Protocol-Version": "2025-99-99"})],
    ),
    # Clients ask for it, and take this status for a plain no.
    Case("no stream of the server's own", [Call("GET", "", headers=ACCEPT, status=405)]),
    Case("no token", [Call("POST", "", json=message("ping"), status=401, open=True)]),
)

TABLES = (Table("2026-07-28", REVISION), Table("2025-11-25", SESSION))
