"""Messages as they should be, and as they should not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from toolbox.testing import TOKEN
from toolbox.testing import Service

from .client import META
from .client import STATELESS
from .client import McpClient
from .client import headers_of

PARSE, REQUEST, METHOD, PARAMS, MISMATCH, VERSION = -32700, -32600, -32601, -32602, -32020, -32022


def message(method: Any = "tools/list", **fields: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, **fields})


def test_a_server_is_discovered(mcp: McpClient) -> None:
    found = mcp.request("server/discover")
    assert found["supportedVersions"][0] == STATELESS
    assert found["capabilities"]["tools"] == {}
    assert found["cacheScope"] == "private"
    assert found["ttlMs"] > 0
    assert found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "sandbox-toolbox"


def test_tools_are_described(mcp: McpClient) -> None:
    tools = {tool["name"]: tool for tool in mcp.request("tools/list")["tools"]}
    schema = tools["edit_file"]["inputSchema"]
    assert schema["required"] == ["path", "edits"]
    edit = schema["properties"]["edits"]["items"]
    assert edit["properties"]["oldText"]["type"] == "string"
    assert edit["additionalProperties"] is False
    assert "$ref" not in json.dumps(list(tools.values()))
    assert tools["read_text_file"]["annotations"] == {"readOnlyHint": True, "openWorldHint": False}
    assert tools["run_command"]["annotations"]["destructiveHint"] is True
    assert tools["create_directory"]["annotations"]["idempotentHint"] is True
    output = tools["list_directory"]["outputSchema"]
    assert output["properties"]["entries"]["items"]["required"] == ["name", "type", "size"]


@pytest.mark.parametrize(
    ("asked", "agreed"),
    [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2024-11-05", "2024-11-05"),
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
        ("", "2025-11-25"),
    ],
)
def test_older_clients_agree_on_a_revision(mcp: McpClient, asked: str, agreed: str) -> None:
    answer = mcp.post(message("initialize", params={"protocolVersion": asked}))
    assert answer.json()["result"]["protocolVersion"] == agreed
    assert answer.headers["Mcp-Session-Id"]
    ping = mcp.post(message("ping"), **{"MCP-Protocol-Version": agreed})
    assert ping.json() == {"jsonrpc": "2.0", "id": 1, "result": {}}


DEEP = '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":' + '{"a":' * 5000 + "1" + "}" * 5001


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, PARSE),
        (b"{", 400, PARSE),
        (b"\xff\xfe", 400, PARSE),
        (b'"\xff"', 400, PARSE),
        (DEEP.encode(), 400, PARSE),
        (b"[" * 100_000, 400, PARSE),
        (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', 400, PARSE),
        (b"[]", 400, REQUEST),
        (f"[{message()},{message()}]".encode(), 400, REQUEST),
        (b"null", 400, REQUEST),
        (b'"tools/list"', 400, REQUEST),
        (b'{"id":1,"method":"ping"}', 400, REQUEST),
        (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', 400, REQUEST),
        (b'{"jsonrpc":"2.0","id":1}', 400, REQUEST),
        (message(7).encode(), 400, REQUEST),
        (message(id=None).encode(), 400, REQUEST),
        (message(id=1.5).encode(), 400, REQUEST),
        (message(id=True).encode(), 400, REQUEST),
        (message(id={}).encode(), 400, REQUEST),
        (message(id="x" * 2000).encode(), 400, REQUEST),
        (message(id=10**30).encode(), 400, REQUEST),
        (message(params=[1]).encode(), 400, PARAMS),
        (message(params="x").encode(), 400, PARAMS),
        (message("tools/nothing").encode(), 200, METHOD),
        (message("server/discover\u0000").encode(), 200, METHOD),
        (message("\ud800").encode(), 200, METHOD),
        (message("tools/call").encode(), 200, PARAMS),
        (message("tools/call", params={"name": 7}).encode(), 200, PARAMS),
        (message("tools/call", params={"name": "no_such_tool"}).encode(), 200, PARAMS),
        (message("tools/call", params={"name": "x" * 100_000}).encode(), 200, PARAMS),
        (message("tools/call", params={"name": "kill", "arguments": []}).encode(), 200, PARAMS),
        (message("tools/call", params={"name": "kill", "_meta": 1}).encode(), 200, PARAMS),
        (message("initialize").encode(), 200, PARAMS),
        (message("initialize", params={"protocolVersion": 1}).encode(), 200, PARAMS),
    ],
)
def test_hostile_messages(mcp: McpClient, content: bytes, status: int, code: int) -> None:
    answer = mcp.post(content)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    assert len(answer.content) < 1000
    # The token comes before everything else.
    refused = mcp.post(content, Authorization="Bearer wrong")
    assert refused.status_code == 401


@pytest.mark.parametrize(
    ("changed", "meta", "code"),
    [
        ({"MCP-Protocol-Version": "2025-11-25"}, {}, MISMATCH),
        ({"Mcp-Method": "tools/list"}, {}, MISMATCH),
        ({"Mcp-Name": "kill"}, {}, MISMATCH),
        ({"Mcp-Name": "=?base64?!?="}, {}, MISMATCH),
        ({"Mcp-Name": ""}, {}, MISMATCH),
        (
            {"MCP-Protocol-Version": "2099-01-01"},
            {"io.modelcontextprotocol/protocolVersion": "2099-01-01"},
            VERSION,
        ),
        ({}, {"io.modelcontextprotocol/protocolVersion": None}, MISMATCH),
        ({}, {"io.modelcontextprotocol/protocolVersion": ["2026-07-28"]}, MISMATCH),
        ({}, {"io.modelcontextprotocol/clientCapabilities": "none"}, PARAMS),
    ],
)
def test_headers_agree_with_the_message(
    mcp: McpClient, changed: dict[str, str], meta: dict[str, Any], code: int
) -> None:
    params = {"name": "list_directory", "arguments": {"path": "."}, "_meta": {**META, **meta}}
    headers = headers_of("tools/call", params) | changed
    answer = mcp.post(message("tools/call", params=params), **headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    if code == VERSION:
        assert STATELESS in answer.json()["error"]["data"]["supported"]


def test_a_request_of_the_stateless_revision_needs_its_envelope(mcp: McpClient) -> None:
    answer = mcp.post(message(), **headers_of("tools/list", {}))
    assert answer.status_code == 400
    assert "protocolVersion" in answer.json()["error"]["message"]
    answer = mcp.post(message("server/discover"))
    assert answer.json()["error"]["code"] == PARAMS


def test_names_that_are_not_ascii_come_encoded(mcp: McpClient) -> None:
    params = {"name": "schlüssel", "_meta": META}
    headers = headers_of("tools/call", params) | {"Mcp-Name": "=?base64?c2NobMO8c3NlbA==?="}
    answer = mcp.post(message("tools/call", params=params), **headers)
    assert answer.json()["error"]["message"] == "unknown tool: 'schlüssel'"


def test_unknown_methods_of_the_stateless_revision_have_a_status(mcp: McpClient) -> None:
    for method in ("ping", "initialized", "subscriptions/listen", "prompts/list"):
        answer = mcp.send(method)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, METHOD)


def test_unknown_revisions_of_older_clients_are_refused(mcp: McpClient) -> None:
    answer = mcp.post(message(), **{"MCP-Protocol-Version": "2025-99-99"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, VERSION)


@pytest.mark.parametrize(
    "fields",
    [
        {"method": "notifications/initialized"},
        {"method": "notifications/nothing", "params": {"requestId": [1]}},
        {"method": "notifications/cancelled", "params": {"requestId": 1}},
        {"method": "notifications/cancelled", "params": {"requestId": {}}},
        {"id": 7, "result": {}},
        {"id": 7, "error": {"code": 1, "message": "no"}},
    ],
)
def test_what_needs_no_response_gets_none(mcp: McpClient, fields: dict[str, Any]) -> None:
    body = json.dumps({"jsonrpc": "2.0", **fields})
    answer = mcp.post(body, **{"Mcp-Session-Id": "any"})
    assert (answer.status_code, answer.content) == (202, b"")


def test_streams_and_sessions_are_refused_as_clients_expect(mcp: McpClient) -> None:
    for method in ("GET", "DELETE"):
        answer = mcp.service.http.request(method, "/mcp")
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_a_message_that_is_too_large_is_refused(mcp: McpClient) -> None:
    answer = mcp.post(b" " * (16 * 1024 * 1024 + 1))
    assert answer.status_code == 413


def test_foreign_pages_are_refused_even_with_the_token(mcp: McpClient) -> None:
    assert mcp.post(message("ping"), Origin="https://evil.example").status_code == 403
    assert mcp.post(message("ping"), Origin=mcp.service.url).status_code == 200
    assert mcp.post(message("ping")).status_code == 200


def test_without_the_groups_there_are_no_tools(make_service: Any) -> None:
    service: Service = make_service(settings='[plugins]\nenable = ["mcp", "files"]\n')
    names = [tool["name"] for tool in McpClient(service).request("tools/list")["tools"]]
    assert "read_text_file" in names
    assert "run_command" not in names
    assert service.http.headers["Authorization"] == f"Bearer {TOKEN}"
