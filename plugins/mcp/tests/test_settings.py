"""The settings of the group ``mcp``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from toolbox.testing import Service

from .client import McpClient


def test_tools_are_chosen_and_results_bounded(
    make_service: Callable[..., Service], tmp_path: Path
) -> None:
    settings = """
    [plugins]
    enable = ["fleet", "mcp", "files", "git"]
    [mcp]
    tools = ["read_*", "git_[ablsc]*", "write_file", "screenshot"]
    deny = ["read_m*", "git_checkout"]
    read_only = true
    max_text = 1000
    """
    mcp = McpClient(make_service(settings=settings))
    tools = mcp.request("tools/list")["tools"]
    assert [tool["name"] for tool in tools] == [
        "read_text_file",
        "git_status",
        "git_show",
        "git_log",
        "git_branch",
    ]
    params = {"name": "write_file", "arguments": {"path": "a", "content": ""}}
    assert mcp.send("tools/call", params).json()["error"]["message"] == "unknown tool: 'write_file'"
    (tmp_path / "long").write_text("0123456789" * 200)
    text = mcp.text("read_text_file", path=str(tmp_path / "long"))
    assert text.startswith("0123456789" * 100 + "\n[... line 1 is longer")


def test_without_a_token_a_page_can_do_nothing(make_service: Callable[..., Service]) -> None:
    service = make_service(settings='[auth]\nmode = "none"\n', token=None)
    mcp = McpClient(service)
    assert mcp.request("tools/list")["tools"]
    assert mcp.post("{}", **{"Content-Type": "text/plain"}).status_code == 415
    assert mcp.post("{}", Origin="https://evil.example").status_code == 403
    assert mcp.post("{}", Host="evil.example").status_code == 403
