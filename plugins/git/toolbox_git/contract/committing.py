"""Add and commit."""

from __future__ import annotations

from toolbox_git.contract.client import IDENTITY
from toolbox_git.contract.client import GitClient
from toolbox_git.contract.client import done
from toolbox_git.contract.client import refused
from toolbox_git.contract.repository import Repository


class CommittingContract:
    """Part of :class:`toolbox_git.contract.GitContract`."""

    def test_add_is_by_literal_name(self, git: GitClient, repo: Repository) -> None:
        """Globs, options and pathspec magic are ordinary names."""
        for name in ("*.txt", "a.txt", "-A", ":(top)x", "dir/b", "dir/c", ".hidden"):
            repo.write(name)
        done(git.post("add", repo.path, files=["*.txt", "-A", ":(top)x", "dir"]))
        assert {name for name, (stage, _) in git.files(repo.path).items() if stage == "Added"} == {
            *("*.txt", "-A", ":(top)x", "dir/b", "dir/c")
        }
        done(git.post("add", repo.path, files=[]))
        done(git.post("add", repo.path, files=["."]))
        assert all(stage == "Added" for stage, _ in git.files(repo.path).values())

    def test_add_stages_deletions(self, git: GitClient, repo: Repository) -> None:
        repo.write("dir/x")
        repo.write("dir/y")
        repo.commit()
        (repo.path / "dir/x").unlink()
        (repo.path / "a").unlink()
        done(git.post("add", repo.path, files=["a", "dir"]))
        expected = ("Deleted", "Unmodified")
        assert git.files(repo.path) == {"a": expected, "dir/x": expected}

    def test_add_all_or_nothing(self, git: GitClient, repo: Repository) -> None:
        repo.write("a")
        refused(git.post("add", repo.path, files=["a", "nothing"]), 400, "BAD_REQUEST")
        refused(git.post("add", repo.path, files=["a", "../out"]), 400, "BAD_REQUEST")
        refused(git.post("add", repo.path, files=[".git/config"]), 400, "BAD_REQUEST")
        assert git.files(repo.path) == {"a": ("Untracked", "Untracked")}

    def test_add_ignored(self, git: GitClient, repo: Repository) -> None:
        repo.write(".gitignore", "*.log\n")
        repo.write("dir/a.log")
        repo.write("dir/b.log")
        repo.write("dir/c")
        done(git.post("add", repo.path, files=["dir"]))
        done(git.post("add", repo.path, files=["dir/a.log"]))
        assert repo.git("ls-files").split() == ["dir/a.log", "dir/c"]

    def test_add_keeps_kind_and_mode(self, git: GitClient, repo: Repository) -> None:
        repo.write("run").chmod(0o755)
        (repo.path / "link").symlink_to("nowhere")
        (repo.path / "to-dir").symlink_to("/tmp")
        done(git.post("add", repo.path, files=["run", "link", "to-dir"]))
        modes = [line.split()[0] for line in repo.git("ls-files", "-s").splitlines()]
        assert modes == ["120000", "100755", "120000"]

    def test_commit(self, git: GitClient, repo: Repository) -> None:
        repo.write("a")
        repo.git("add", "a")
        message = "# a subject\n\n  body with  spaces  \n# no comment\n\n\n"
        response = git.post("commit", repo.path, message=message, **IDENTITY)
        assert response.status_code == 200, response.text
        assert response.json() == {"hash": repo.git("rev-parse", "HEAD")}
        assert repo.git("log", "-1", "--format=%an|%ae|%cn|%ce") == (
            "Ada Lovelace|ada@example.org|Ada Lovelace|ada@example.org"
        )
        (commit,) = git.get("history", repo.path).json()
        assert commit["message"] == message
        assert (commit["author"], commit["email"]) == ("Ada Lovelace", "ada@example.org")
        assert git.files(repo.path) == {}

    def test_commit_without_anything_staged(self, git: GitClient, repo: Repository) -> None:
        given = {"message": "m", **IDENTITY}
        refused(git.post("commit", repo.path, **given), 409, "CONFLICT")
        repo.commit()
        repo.write("untracked")
        repo.write("a", "changed\n")
        refused(git.post("commit", repo.path, **given), 409, "CONFLICT")
        before = repo.git("rev-parse", "HEAD^{tree}")
        assert git.post("commit", repo.path, allow_empty=True, **given).status_code == 200
        assert repo.git("rev-parse", "HEAD^{tree}") == before
        assert repo.git("rev-list", "--count", "HEAD") == "2"

    def test_commit_runs_no_hook_and_cleans_names(self, git: GitClient, repo: Repository) -> None:
        for hook in ("pre-commit", "commit-msg", "post-commit"):
            path = repo.write(f".git/hooks/{hook}", "#!/bin/sh\ntouch ran\nexit 1\n")
            path.chmod(0o755)
        repo.git("config", "commit.gpgSign", "true")
        repo.write("a")
        repo.git("add", "a")
        given = {"message": "m", "author": "A <b>\nC", "email": "<x@y>\n"}
        assert git.post("commit", repo.path, **given).status_code == 200
        assert repo.git("log", "-1", "--format=%an|%ae") == "A bC|x@y"
        assert not (repo.path / "ran").exists()
        given["author"] = "<>"
        refused(git.post("commit", repo.path, allow_empty=True, **given), 400, "BAD_REQUEST")
