"""Reset and restore."""

from __future__ import annotations

from toolbox_git.contract.client import GitClient
from toolbox_git.contract.client import done
from toolbox_git.contract.client import refused
from toolbox_git.contract.repository import Repository


class ResettingContract:
    """Part of :class:`toolbox_git.contract.GitContract`."""

    def test_reset(self, git: GitClient, repo: Repository) -> None:
        first = repo.commit("a", "one\n")
        second = repo.commit("a", "two\n")
        repo.write("a", "three\n")
        done(git.post("reset", repo.path, mode="soft", target="HEAD~1"))
        assert git.files(repo.path) == {"a": ("Modified", "Modified")}
        done(git.post("reset", repo.path))
        assert git.files(repo.path) == {"a": ("Unmodified", "Modified")}
        refused(git.post("reset", repo.path, mode="keep", target=second), 409, "GIT_DIRTY_WORKTREE")
        done(git.post("reset", repo.path, mode="hard", target=second[:10]))
        assert git.files(repo.path) == {}
        assert (repo.path / "a").read_text() == "two\n"
        done(git.post("reset", repo.path, mode="keep", target=first))
        assert (repo.path / "a").read_text() == "one\n"
        refused(git.post("reset", repo.path, target="no"), 404, "GIT_BRANCH_NOT_FOUND")
        response = git.post("reset", repo.path, mode="wrong")
        refused(response, 400, "INVALID_REQUEST_BODY")

    def test_reset_merge(self, git: GitClient, repo: Repository) -> None:
        repo.commit("a", "one\n")
        repo.commit("b", "one\n")
        repo.write("a", "not staged\n")
        repo.write("b", "staged\n")
        repo.git("add", "b")
        done(git.post("reset", repo.path, mode="merge"))
        assert git.files(repo.path) == {"a": ("Unmodified", "Modified")}
        assert (repo.path / "b").read_text() == "one\n"

    def test_reset_files(self, git: GitClient, repo: Repository) -> None:
        repo.write("dir/b")
        repo.commit()
        for name in ("a", "dir/b", "new"):
            repo.write(name, "changed\n")
        repo.git("add", "-A")
        done(git.post("reset", repo.path, files=["dir", "new"]))
        assert git.files(repo.path) == {
            "a": ("Modified", "Unmodified"),
            "dir/b": ("Unmodified", "Modified"),
            "new": ("Untracked", "Untracked"),
        }
        refused(git.post("reset", repo.path, mode="hard", files=["a"]), 400, "BAD_REQUEST")

    def test_reset_before_the_first_commit(self, git: GitClient, repo: Repository) -> None:
        repo.write("a")
        repo.git("add", "a")
        done(git.post("reset", repo.path))
        assert git.files(repo.path) == {"a": ("Untracked", "Untracked")}
        repo.git("add", "a")
        done(git.post("restore", repo.path, files=["a"], staged=True))
        assert git.files(repo.path) == {"a": ("Untracked", "Untracked")}

    def test_restore(self, git: GitClient, repo: Repository) -> None:
        first = repo.commit("a", "one\n")
        repo.commit("dir/b", "one\n")
        repo.write("a", "staged\n")
        repo.git("add", "a")
        repo.write("a", "three\n")
        done(git.post("restore", repo.path, files=["a"]))
        assert (repo.path / "a").read_text() == "staged\n"
        done(git.post("restore", repo.path, files=["a"], staged=True))
        assert git.files(repo.path) == {"a": ("Unmodified", "Modified")}
        repo.git("add", "a")
        done(git.post("restore", repo.path, files=["a"], staged=True, worktree=True))
        assert git.files(repo.path) == {}
        repo.write("dir/b", "two\n")
        done(git.post("restore", repo.path, files=["dir"], worktree=True, staged=False))
        assert git.files(repo.path) == {}
        repo.commit("a", "two\n")
        done(git.post("restore", repo.path, files=["a"], source=first))
        assert (repo.path / "a").read_text() == "one\n"
        assert git.files(repo.path) == {"a": ("Unmodified", "Modified")}

    def test_restore_refuses(self, git: GitClient, repo: Repository) -> None:
        repo.commit()
        refused(git.post("restore", repo.path, files=["nothing"]), 400, "BAD_REQUEST")
        refused(git.post("restore", repo.path, files=[]), 400, "INVALID_REQUEST_BODY")
        response = git.post("restore", repo.path, files=["a"], source="no")
        refused(response, 404, "GIT_BRANCH_NOT_FOUND")
