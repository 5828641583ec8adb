"""Branches: create, delete, check out."""

from __future__ import annotations

from toolbox_git.contract.client import GitClient
from toolbox_git.contract.client import done
from toolbox_git.contract.client import refused
from toolbox_git.contract.repository import Repository


class BranchesContract:
    """Part of :class:`toolbox_git.contract.GitContract`."""

    def test_branches(self, git: GitClient, repo: Repository) -> None:
        repo.commit()
        repo.write("a", "changed\n")
        done(git.post("branches", repo.path, name="feature/x"), 201)
        response = git.get("branches", repo.path).json()
        assert response == {"branches": ["feature/x", "main"], "current": "feature/x"}
        assert git.files(repo.path) == {"a": ("Unmodified", "Modified")}
        for taken in ("main", "feature/x", "feature/x/y", "feature"):
            response = git.post("branches", repo.path, name=taken)
            refused(response, 409, "GIT_BRANCH_EXISTS")
        for bad in ("a..b", "-x", "a b", "x.lock", "HEAD", "@{1}", "a~1", "/a", "a/", ".a", "a\\b"):
            refused(git.post("branches", repo.path, name=bad), 400, "BAD_REQUEST")

    def test_delete_branch(self, git: GitClient, repo: Repository) -> None:
        repo.commit()
        repo.git("checkout", "-q", "-b", "other")
        repo.commit("b")
        repo.git("checkout", "-q", "main")
        refused(git.delete_branch(repo.path, "main"), 409, "CONFLICT")
        refused(git.delete_branch(repo.path, "nope"), 404, "GIT_BRANCH_NOT_FOUND")
        done(git.delete_branch(repo.path, "other"), 204)
        assert git.get("branches", repo.path).json()["branches"] == ["main"]
        repo.git("pack-refs", "--all")
        repo.git("branch", "packed")
        repo.git("pack-refs", "--all")
        done(git.delete_branch(repo.path, "packed"), 204)
        assert repo.git("branch", "--list", "packed") == ""

    def test_checkout(self, git: GitClient, repo: Repository) -> None:
        first = repo.commit()
        repo.git("tag", "v1")
        repo.git("checkout", "-q", "-b", "dev")
        repo.commit("b", "only on dev\n")
        done(git.post("checkout", repo.path, branch="main"))
        assert not (repo.path / "b").exists()
        done(git.post("checkout", repo.path, branch="dev"))
        assert (repo.path / "b").read_text() == "only on dev\n"
        for revision in ("v1", first[:8], first, "dev~1"):
            done(git.post("checkout", repo.path, branch=revision))
            assert repo.git("rev-parse", "HEAD") == first
            assert git.status(repo.path)["detached"]
            done(git.post("checkout", repo.path, branch="dev"))
        assert git.files(repo.path) == {}

    def test_checkout_of_a_hash(self, git: GitClient, repo: Repository) -> None:
        """A hash may be abbreviated or in uppercase; a branch of that name takes precedence."""
        first = repo.commit()
        second = repo.commit("b")
        for name in (first, first.upper(), first[:7], first[:7].upper()):
            done(git.post("checkout", repo.path, branch="main"))
            done(git.post("checkout", repo.path, branch=name))
            assert repo.git("rev-parse", "HEAD") == first
        repo.git("branch", "ABCDEF", second)
        done(git.post("checkout", repo.path, branch="ABCDEF"))
        assert git.status(repo.path)["currentBranch"] == "ABCDEF"
        response = git.post("checkout", repo.path, branch="abcdef")
        refused(response, 404, "GIT_BRANCH_NOT_FOUND")
        repo.git("branch", "dead", second)
        refused(git.post("checkout", repo.path, branch="DEAD"), 404, "GIT_BRANCH_NOT_FOUND")

    def test_checkout_never_takes_a_file(self, git: GitClient, repo: Repository) -> None:
        repo.commit("name", "committed\n")
        repo.write("name", "changed\n")
        for name in ("name", "./name", "-", "--", "-f", "--detach", "master", "@{-9}"):
            response = git.post("checkout", repo.path, branch=name)
            refused(response, 404, "GIT_BRANCH_NOT_FOUND")
        assert (repo.path / "name").read_text() == "changed\n"
        assert git.status(repo.path)["currentBranch"] == "main"

    def test_checkout_keeps_changes(self, git: GitClient, repo: Repository) -> None:
        """Changes that don't conflict stay; others make it a 409 that has changed nothing."""
        repo.write("other")
        repo.commit("a", "one\n")
        repo.git("checkout", "-q", "-b", "dev")
        repo.write("untracked", "tracked on dev\n")
        repo.commit("a", "two\n")
        repo.git("checkout", "-q", "main")
        repo.write("other", "changed\n")
        for name in ("a", "untracked"):
            repo.write(name, "would be lost\n")
            response = git.post("checkout", repo.path, branch="dev")
            refused(response, 409, "GIT_DIRTY_WORKTREE")
            assert git.status(repo.path)["currentBranch"] == "main"
            assert (repo.path / name).read_text() == "would be lost\n"
            repo.write("a", "one\n")
        (repo.path / "untracked").unlink()
        done(git.post("checkout", repo.path, branch="dev"))
        assert git.files(repo.path) == {"other": ("Unmodified", "Modified")}
