"""The tools of the group ``git``."""

from __future__ import annotations

from pathlib import Path

from .client import McpClient


def test_from_a_change_to_a_branch(mcp: McpClient, tmp_path: Path) -> None:
    path = str(tmp_path / "repository")
    mcp.service.http.post("/git/init", json={"path": path}).raise_for_status()
    assert mcp.text("git_log", repo_path=path) == "no commits yet"
    mcp.text("write_file", path=f"{path}/file", content="one\n")
    status = mcp.structured("git_status", repo_path=path)
    assert status["fileStatus"][0]["worktree"] == "Untracked"
    mcp.text("git_add", repo_path=path, files=["file"])
    assert "file: index added" in mcp.text("git_status", repo_path=path)
    # Nobody has configured who commits here.
    assert "user.name is not configured" in mcp.failure("git_commit", repo_path=path, message="x")
    done = mcp.text(
        "git_commit", repo_path=path, message="First", author="A", email="a@example.com"
    )
    commits = mcp.structured("git_log", repo_path=path, max_count=1)["commits"]
    assert done == f"Changes committed successfully with hash {commits[0]['hash']}"
    user = {"name": "B", "email": "b@example.com"}
    mcp.service.http.post("/git/config/user", json=user).raise_for_status()
    mcp.text("git_create_branch", repo_path=path, branch_name="topic")
    mcp.text("write_file", path=f"{path}/file", content="two\n")
    assert "-one\n+two" in mcp.text("git_diff_unstaged", repo_path=path)
    assert mcp.text("git_diff_staged", repo_path=path) == "no changes"
    mcp.text("git_add", repo_path=path, files=["file"])
    assert "-one\n+two" in mcp.text("git_diff_staged", repo_path=path)
    assert "-one\n+two" in mcp.text("git_diff", repo_path=path, target="HEAD")
    mcp.text("git_commit", repo_path=path, message="Second\n\nBecause.")
    log = mcp.text("git_log", repo_path=path)
    assert log.index("Author: B <b@example.com>") < log.index("Author: A <a@example.com>")
    assert "\n    Second\n    \n    Because.\n" in log
    shown = mcp.text("git_show", repo_path=path)
    assert "Author: B <b@example.com>" in shown
    assert "\n-one\n+two\n" in shown
    branches = mcp.text("git_branch", repo_path=path).splitlines()
    assert "* topic" in branches
    first = next(name for name in branches if name != "* topic").strip()
    mcp.text("git_checkout", repo_path=path, branch_name=first)
    assert mcp.text("read_text_file", path=f"{path}/file") == "one\n"
    assert mcp.text("git_status", repo_path=path).endswith("working tree clean")
    assert mcp.failure("git_checkout", repo_path=path, branch_name="nothing")
    assert mcp.failure("git_status", repo_path=str(tmp_path))
