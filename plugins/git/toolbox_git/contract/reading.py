"""Status and history."""

from __future__ import annotations

from pathlib import Path

from toolbox_git.contract.client import GitClient
from toolbox_git.contract.client import done
from toolbox_git.contract.client import refused
from toolbox_git.contract.repository import Repository


class ReadingContract:
    """Part of :class:`toolbox_git.contract.GitContract`."""

    def test_unborn_branch(self, git: GitClient, repo: Repository) -> None:
        status = git.status(repo.path)
        assert status == {
            "currentBranch": "main",
            "fileStatus": [],
            "branchPublished": False,
            "ahead": 0,
            "behind": 0,
            "detached": False,
            "upstream": "",
        }
        assert git.get("history", repo.path).json() == []
        assert git.get("branches", repo.path).json() == {"branches": [], "current": "main"}
        answer = git.post("branches", repo.path, name="dev")
        refused(answer, 404, "GIT_BRANCH_NOT_FOUND")

    def test_file_status(self, git: GitClient, repo: Repository) -> None:
        for name in ("modified", "staged", "both", "deleted", "removed", "kept", "clean"):
            repo.write(name)
        repo.commit()
        for name in ("modified", "staged", "both"):
            repo.write(name, "changed\n")
        repo.write("new/inner/file")
        repo.write("added")
        repo.git("add", "staged", "both", "added")
        repo.write("both", "changed again\n")
        (repo.path / "deleted").unlink()
        repo.git("rm", "-q", "removed")
        repo.git("rm", "-q", "--cached", "kept")
        assert git.files(repo.path) == {
            "added": ("Added", "Unmodified"),
            "both": ("Modified", "Modified"),
            "deleted": ("Unmodified", "Deleted"),
            "kept": ("Untracked", "Untracked"),
            "modified": ("Unmodified", "Modified"),
            "new/inner/file": ("Untracked", "Untracked"),
            "removed": ("Deleted", "Unmodified"),
            "staged": ("Modified", "Unmodified"),
        }

    def test_ignored_files_are_not_listed(self, git: GitClient, repo: Repository) -> None:
        repo.write(".gitignore", "*.log\n/build/\n!keep.log\n")
        repo.commit("build/tracked")
        repo.git("add", "-f", "build/tracked")
        repo.git("commit", "-q", "-m", "tracked though ignored")
        repo.write("sub/.gitignore", "secret\n")
        for name in ("x.log", "keep.log", "build/out", "sub/secret", "sub/x", "excluded"):
            repo.write(name)
        repo.write("build/tracked", "changed\n")
        (repo.path / ".git/info/exclude").write_text("excluded\n")
        assert git.files(repo.path) == {
            "build/tracked": ("Unmodified", "Modified"),
            "keep.log": ("Untracked", "Untracked"),
            "sub/.gitignore": ("Untracked", "Untracked"),
            "sub/x": ("Untracked", "Untracked"),
        }

    def test_upstream(self, git: GitClient, repo: Repository, tmp_path: Path) -> None:
        repo.commit()
        done(git.post("clone", tmp_path / "clone", url=str(repo.path)))
        clone = Repository(tmp_path / "clone")
        repo.commit("b")
        clone.commit("c")
        clone.commit("d")
        clone.git("fetch", "-q")
        status = git.status(clone.path)
        assert (status["upstream"], status["branchPublished"]) == ("origin/main", True)
        assert (status["ahead"], status["behind"]) == (2, 1)
        clone.git("update-ref", "-d", "refs/remotes/origin/main")
        status = git.status(clone.path)
        assert (status["upstream"], status["branchPublished"]) == ("origin/main", False)

    def test_detached(self, git: GitClient, repo: Repository) -> None:
        commit = repo.commit()
        done(git.post("checkout", repo.path, branch=commit))
        status = git.status(repo.path)
        assert (status["currentBranch"], status["detached"]) == ("HEAD", True)
        assert git.get("branches", repo.path).json() == {"branches": ["main"], "current": ""}

    def test_history(self, git: GitClient, repo: Repository) -> None:
        dates = ("2001-02-03T04:05:06Z", "2002-02-03T04:05:06+05:30", "2003-02-03T04:05:06-08:00")
        for number, date in enumerate(dates):
            repo.write("a", str(number))
            repo.git("add", "a")
            env = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
            repo.git("commit", "-q", "-m", f"Größe {number}\n\nbody", **env)
        commits = git.get("history", repo.path).json()
        assert [commit["timestamp"] for commit in commits] == list(reversed(dates))
        assert commits[0]["message"] == "Größe 2\n\nbody\n"
        assert [commit["hash"] for commit in commits] == repo.git("rev-list", "HEAD").split()
