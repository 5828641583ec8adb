"""Init, and paths that lead to no repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolbox_git.contract.client import GitClient
from toolbox_git.contract.client import done
from toolbox_git.contract.client import refused
from toolbox_git.contract.repository import Repository


class RepositoriesContract:
    """Part of :class:`toolbox_git.contract.GitContract`."""

    def test_init(self, git: GitClient, tmp_path: Path) -> None:
        done(git.post("init", tmp_path / "a/b", initial_branch="trunk", bare=False), 201)
        assert git.status(tmp_path / "a/b")["currentBranch"] == "trunk"
        done(git.post("init", tmp_path / "a/b", initial_branch=None), 201)
        done(git.post("init", tmp_path / "bare.git", bare=True), 201)
        assert (tmp_path / "bare.git/HEAD").exists()
        assert git.get("history", tmp_path / "bare.git").json() == []
        refused(git.get("status", tmp_path / "bare.git"), 400, "BAD_REQUEST")
        (tmp_path / "file").write_text("")
        refused(git.post("init", tmp_path / "file"), 409, "CONFLICT")
        response = git.post("init", tmp_path / "c", initial_branch="a..b")
        refused(response, 400, "BAD_REQUEST")
        assert not (tmp_path / "c").exists()

    def test_exactly_this_directory(self, git: GitClient, repo: Repository, tmp_path: Path) -> None:
        """A repository that encloses the path is not used (AC-73)."""
        repo.write("sub/file")
        for path in (repo.path / "sub", tmp_path, tmp_path / "nothing", repo.path / "sub/file"):
            refused(git.get("status", path), 404, "GIT_REPO_NOT_FOUND")
            refused(git.post("add", path, files=["."]), 404, "GIT_REPO_NOT_FOUND")
        inner = Repository(repo.path / "sub")
        inner.write("own")
        done(git.post("add", inner.path, files=["own"]))
        assert repo.git("ls-files") == ""

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"path": 1}', b'{"path": "a\\u0000"}'])
    def test_malformed_bodies(self, git: GitClient, body: bytes) -> None:
        """AC-91"""
        for operation in ("add", "clone", "commit", "push", "config", "credentials", "reset"):
            response = git.service.http.post(f"/git/{operation}", content=body)
            refused(response, 400, "INVALID_REQUEST_BODY")
        refused(git.get("status"), 400, "BAD_REQUEST")
