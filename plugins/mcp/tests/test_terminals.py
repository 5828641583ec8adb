"""The tools for programs with a screen."""

from __future__ import annotations

from pathlib import Path

from .client import McpClient


def test_an_editor(mcp: McpClient, tmp_path: Path) -> None:
    file = tmp_path / "notes"
    started = mcp.structured("start_terminal", command=f"vim -u NONE -i NONE {file}", rows=10)
    name = started["id"]
    mcp.call("wait_for_screen", terminalId=name, text="(?m)^~$")
    mcp.call("send_keys", terminalId=name, text="ihello\n日本", keys=["Escape"])
    shown = mcp.text("wait_for_screen", terminalId=name, text="日本")
    assert "hello\n日本" in shown
    assert "[the text is there]" in shown
    assert f"[terminal {name}; cursor at line 2, column " in shown
    mcp.call("send_keys", terminalId=name, text=":wq", keys=["Enter"])
    shown = mcp.text(
        "wait_for_screen", terminalId=name, text=r"written[\s\S]*\$ $|\# $", timeout=10
    )
    assert file.read_text() == "hello\n日本\n"
    mcp.call("send_keys", terminalId=name, text="exit 3\n")
    ended = mcp.structured("wait_for_screen", terminalId=name, text="[n]ever")
    assert (ended["done"], ended["exitCode"]) == (True, 3)
    assert "ended, exit code 3" in mcp.text("get_screen", terminalId=name)


def test_what_fails(mcp: McpClient) -> None:
    assert "not found" in mcp.failure("get_screen", terminalId="nope")
    name = mcp.structured("start_terminal")["id"]
    assert "unknown key: 'Nope'" in mcp.failure("send_keys", terminalId=name, keys=["Nope"])
    assert "regular expression" in mcp.failure("wait_for_screen", terminalId=name, text="(")
    shown = mcp.text("wait_for_screen", terminalId=name, text="[n]ever", timeout=1.2)
    assert "[neither came in time]" in shown
    assert "[quiet]" in mcp.text("wait_for_screen", terminalId=name)
    mcp.call("send_keys", terminalId=name, text="exit\n")
