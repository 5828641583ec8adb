"""Status and history."""

from __future__ import annotations

from datetime import datetime
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
        response = git.post("branches", repo.path, name="dev")
        refused(response, 404, "GIT_BRANCH_NOT_FOUND")

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

    def test_history_of_merges(self, git: GitClient, repo: Repository) -> None:
        """Commits are sorted by time, and those of the same time in git's order."""
        env = {f"GIT_{who}_DATE": "2001-02-03T04:05:06Z" for who in ("AUTHOR", "COMMITTER")}
        commit = ("commit", "-q", "--allow-empty", "-m")
        repo.git(*commit, "first", **env)
        for branch in ("one", "two"):
            repo.git("checkout", "-q", "-b", branch, "main")
            for number in range(3):
                repo.git(*commit, f"{branch} {number}", **env)
        repo.git("checkout", "-q", "main")
        repo.git(*commit, "main", GIT_COMMITTER_DATE="2001-02-03T04:05:05Z")
        repo.git("merge", "-q", "--no-ff", "-m", "merged", "one", "two", **env)
        commits = git.get("history", repo.path).json()
        assert [commit["hash"] for commit in commits] == repo.git("rev-list", "HEAD").split()
        assert len(commits) == 9

    def test_the_end_of_a_history(self, git: GitClient, repo: Repository) -> None:
        for number in range(3):
            repo.git("commit", "-q", "--allow-empty", "-m", str(number))
        hashes = repo.git("rev-list", "HEAD").split()
        for limit in (1, 2, 3, 2**31 - 1):
            commits = git.get("history", repo.path, limit=str(limit)).json()
            assert [commit["hash"] for commit in commits] == hashes[:limit]
        for limit in (0, -1, 2**31):
            assert git.get("history", repo.path, limit=str(limit)).status_code == 400

    def test_a_limited_history_reads_no_more(self, git: GitClient, repo: Repository) -> None:
        """The commits beyond the limit may be many, or damaged."""
        for number in range(3):
            repo.git("commit", "-q", "--allow-empty", "-m", str(number))
        newest, *_, oldest = repo.git("rev-list", "HEAD").split()
        file = repo.path / ".git" / "objects" / oldest[:2] / oldest[2:]
        hidden = file.rename(repo.path / ".git" / "hidden")
        try:
            assert git.get("history", repo.path).is_error
            (commit,) = git.get("history", repo.path, limit="1").json()
        finally:
            hidden.rename(file)
        assert commit["hash"] == newest

    def test_history_of_odd_commits(self, git: GitClient, repo: Repository, tmp_path: Path) -> None:
        """Commits may have another encoding, and fields that git itself wouldn't write."""
        repo.write("message").write_bytes("Größe".encode("latin-1"))
        latin = ("-c", "i18n.commitEncoding=latin1")
        repo.git(*latin, "commit", "-q", "--allow-empty", "-F", "message")
        assert git.get("history", repo.path).json()[0]["message"].rstrip("\n") == "Größe"
        odd = Repository(tmp_path / "odd")
        odd.commit()
        tree = odd.git("rev-parse", "HEAD^{tree}")
        for number, who in enumerate(
            ("A <a@x> 1 +9999", "A <a@x> 99999999999999999999 +0000", "A", "<", "A a@x> 5 0100")
        ):
            raw = tmp_path / f"commit-{number}"
            raw.write_text(
                f"tree {tree}\nparent {odd.git('rev-parse', 'HEAD')}\n"
                f"author {who}\ncommitter T <t@x> {2_000_000_000 + number} +0000\n\nodd\n"
            )
            sha = odd.git("hash-object", "-t", "commit", "-w", "--literally", str(raw))
            odd.git("update-ref", "refs/heads/main", sha)
        odd.git("repack", "-q", "-a", "-d")
        response = git.get("history", odd.path)
        assert response.status_code == 200, response.text
        found = response.json()
        assert [commit["hash"] for commit in found] == odd.git("rev-list", "HEAD").split()
        assert {commit["message"] for commit in found[:-1]} == {"odd\n"}
        for commit in found:
            datetime.fromisoformat(commit["timestamp"])
