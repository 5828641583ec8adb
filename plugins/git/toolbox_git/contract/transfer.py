"""Pull and push, from and to directories."""

from __future__ import annotations

from pathlib import Path

from toolbox_git.contract.client import GitClient
from toolbox_git.contract.client import done
from toolbox_git.contract.client import refused
from toolbox_git.contract.repository import Repository


class TransferContract:
    """Part of :class:`toolbox_git.contract.GitContract`."""

    def test_pull_and_push(self, git: GitClient, repo: Repository, tmp_path: Path) -> None:
        repo.commit()
        bare = Repository(tmp_path / "bare.git", "--bare")
        repo.git("remote", "add", "origin", str(bare.path))
        done(git.post("push", repo.path, set_upstream=False))
        assert not git.status(repo.path)["branchPublished"]
        done(git.post("push", repo.path, set_upstream=True))
        assert git.status(repo.path)["upstream"] == "origin/main"
        done(git.post("clone", tmp_path / "clone", url=str(bare.path)))
        clone = Repository(tmp_path / "clone")
        done(git.post("pull", clone.path))
        head = repo.commit("b")
        done(git.post("push", repo.path))
        assert git.status(repo.path)["ahead"] == 0
        done(git.post("pull", clone.path, branch="main", remote="origin"))
        assert clone.git("rev-parse", "HEAD") == head
        assert git.files(clone.path) == {}
        clone.commit("c")
        done(git.post("pull", clone.path))
        repo.commit("d")
        done(git.post("push", repo.path))
        refused(git.post("push", clone.path), 409, "GIT_PUSH_REJECTED")
        refused(git.post("pull", clone.path), 409, "GIT_MERGE_CONFLICT")
        assert git.status(clone.path)["behind"] == 1

    def test_pull_keeps_changes(self, git: GitClient, repo: Repository, tmp_path: Path) -> None:
        repo.commit("a", "one\n")
        repo.commit("b", "one\n")
        done(git.post("clone", tmp_path / "clone", url=str(repo.path)))
        clone = Repository(tmp_path / "clone")
        head = repo.commit("a", "two\n")
        clone.write("a", "would be lost\n")
        refused(git.post("pull", clone.path), 409, "GIT_DIRTY_WORKTREE")
        assert (clone.path / "a").read_text() == "would be lost\n"
        clone.git("checkout", "-q", "a")
        clone.write("b", "stays\n")
        done(git.post("pull", clone.path))
        assert clone.git("rev-parse", "HEAD") == head
        assert git.files(clone.path) == {"b": ("Unmodified", "Modified")}

    def test_pull_and_push_refuse(self, git: GitClient, repo: Repository, tmp_path: Path) -> None:
        repo.commit()
        refused(git.post("pull", repo.path), 404, "NOT_FOUND")
        refused(git.post("push", repo.path, remote="--all"), 404, "NOT_FOUND")
        repo.git("remote", "add", "origin", str(tmp_path / "gone"))
        refused(git.post("pull", repo.path), 404, "GIT_REPO_NOT_FOUND")
        refused(git.post("push", repo.path), 404, "GIT_REPO_NOT_FOUND")
        bare = Repository(tmp_path / "bare.git", "--bare")
        repo.git("remote", "set-url", "origin", str(bare.path))
        refused(git.post("pull", repo.path), 404, "GIT_BRANCH_NOT_FOUND")
        response = git.post("push", repo.path, branch="no")
        refused(response, 404, "GIT_BRANCH_NOT_FOUND")
        repo.git("checkout", "-q", "--detach")
        refused(git.post("push", repo.path), 404, "GIT_BRANCH_NOT_FOUND")
        done(git.post("push", repo.path, branch="main"))
