"""Files as resources."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from .client import McpClient


def read(mcp: McpClient, path: str) -> dict[str, Any]:
    result = mcp.request("resources/read", {"uri": f"file://{path}"})
    (found,) = result["contents"]
    return dict(found)


def test_files_of_the_working_directory_are_listed_page_by_page(mcp: McpClient) -> None:
    work = mcp.service.directory / "work"
    for number in range(501):
        (work / f"f{number:03}.txt").touch()
    (work / "directory").mkdir()
    (work / "ä b").write_text("ä")
    page = mcp.request("resources/list")
    assert len(page["resources"]) == 500
    rest = mcp.request("resources/list", {"cursor": page["nextCursor"]})
    assert "nextCursor" not in rest
    names = [resource["name"] for resource in rest["resources"]]
    assert names == ["f500.txt", "ä b"]
    assert rest["resources"][1]["uri"] == f"file://{work}/%C3%A4%20b"
    assert read(mcp, f"{work}/%C3%A4%20b")["text"] == "ä"
    assert mcp.send("resources/list", {"cursor": "x"}).json()["error"]["code"] == -32602
    (template,) = mcp.request("resources/templates/list")["resourceTemplates"]
    assert template["uriTemplate"] == "file:///{+path}"


def test_files_are_read(mcp: McpClient, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    assert read(mcp, f"{tmp_path}/a.json") == {
        "uri": f"file://{tmp_path}/a.json",
        "mimeType": "application/json",
        "text": "{}",
    }
    (tmp_path / "b.bin").write_bytes(b"\xff\0")
    assert base64.b64decode(read(mcp, f"{tmp_path}/b.bin")["blob"]) == b"\xff\0"


@pytest.mark.parametrize(
    "uri",
    ["", "file://", "http://x/y", "file://other/etc/passwd", "file:///missing", "file:///tmp"],
)
def test_what_is_no_file_is_refused(mcp: McpClient, uri: str) -> None:
    answer = mcp.send("resources/read", {"uri": uri})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32602), answer.text


def test_older_clients_know_another_code(mcp: McpClient) -> None:
    params = {"uri": "file:///missing"}
    body = {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": params}
    answer = mcp.post(json.dumps(body))
    assert (answer.status_code, answer.json()["error"]["code"]) == (200, -32002)
