"""Differences."""

from __future__ import annotations

from pathlib import Path

import httpx

from toolbox_git.contract.client import GitClient
from toolbox_git.contract.client import refused
from toolbox_git.contract.repository import Repository


class DifferencesContract:
    """Part of :class:`toolbox_git.contract.GitContract`."""

    def test_differences(self, git: GitClient, repo: Repository) -> None:
        repo.write("new", "one\n")
        repo.git("add", "new")
        assert changes(git, repo.path, of="index") == {"+one"}
        refused(difference(git, repo.path, of="commit"), 404, "GIT_BRANCH_NOT_FOUND")
        first = repo.commit("file", "one\n", "First")
        second = repo.commit("file", "two\n", "Second")
        repo.write("file", "three\n")
        repo.git("add", "file")
        repo.write("file", "four\n")
        assert changes(git, repo.path) == {"-three", "+four"}
        assert changes(git, repo.path, revision="HEAD") == {"-two", "+four"}
        assert changes(git, repo.path, revision=first) == {"-one", "+four"}
        assert changes(git, repo.path, of="index") == {"-two", "+three"}
        assert changes(git, repo.path, of="index", revision=first) == {"-one", "+three"}
        assert changes(git, repo.path, of="commit") == {"-one", "+two"}
        found = difference(git, repo.path, of="commit", revision=first).json()
        assert found["commit"]["message"].rstrip("\n") == "First"
        assert found["commit"]["hash"] == first != second
        assert "+++ b/file\n" in found["diff"]
        refused(difference(git, repo.path, revision="nothing"), 404, "GIT_BRANCH_NOT_FOUND")
        refused(difference(git, repo.path, revision="-p"), 404, "GIT_BRANCH_NOT_FOUND")
        refused(difference(git, repo.path, of="nothing"), 400, "BAD_REQUEST")

    def test_differences_run_no_programs(
        self, git: GitClient, repo: Repository, tmp_path: Path
    ) -> None:
        repo.commit("file", "one\n")
        repo.write("file", "two\n")
        repo.write(".gitattributes", "* diff=own\n")
        ran = tmp_path / "ran"
        for key in ("diff.external", "diff.own.command", "diff.own.textconv"):
            repo.git("config", key, f"touch {ran}; cat")
        repo.git("config", "diff.noprefix", "true")
        repo.git("config", "color.ui", "always")
        found = difference(git, repo.path).json()["diff"]
        assert "--- a/file\n+++ b/file\n" in found
        assert changes(git, repo.path, of="commit") == {"+one"}
        assert not ran.exists()


def difference(git: GitClient, path: Path, **query: str) -> httpx.Response:
    """Send ``GET /x/git/diff``."""
    return git.service.http.get("/x/git/diff", params={"path": str(path), **query})


def changes(git: GitClient, path: Path, **query: str) -> set[str]:
    """Return the changed lines, without the names of files."""
    response = difference(git, path, **query)
    assert response.status_code == 200, response.text
    lines = response.json()["diff"].splitlines()
    return {line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")}
