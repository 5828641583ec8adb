"""What every backend of the group must do: a test class to subclass.

::

    class TestMine(GitContract):
        backend = "mine"

The git binary makes the repositories and tells what became of them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import ClassVar

import httpx
import pytest

from toolbox.testing import Service

IDENTITY = {"author": "Ada Lovelace", "email": "ada@example.org"}
_NAMES = ("AUTHOR_NAME", "AUTHOR_EMAIL", "COMMITTER_NAME", "COMMITTER_EMAIL")


class Repository:
    """A repository in a directory, by the git binary."""

    def __init__(self, path: Path, *options: str) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main", *options)

    def git(self, *arguments: str, **env: str) -> str:
        """Run git here; what it printed. Fails if it fails."""
        given = {f"GIT_{name}": "Test" for name in _NAMES}
        done = subprocess.run(
            ["git", "-c", "core.quotePath=false", *arguments],
            cwd=self.path,
            env={**os.environ, "HOME": "/nonexistent", **given, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
        return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")

    def write(self, name: str, text: str = "text\n") -> Path:
        """Write a file."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def commit(self, name: str = "a", text: str = "text\n", message: str = "a commit") -> str:
        """Write a file and commit it; the hash."""
        self.write(name, text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")


class GitClient:
    """The git operations of a running service."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def get(self, operation: str, path: Path | str = "", **query: str) -> httpx.Response:
        """``GET /git/<operation>``."""
        given = {**query, **({"path": str(path)} if path else {})}
        return self.service.http.get(f"/git/{operation}", params=given)

    def post(self, operation: str, path: Path | str = "", **body: Any) -> httpx.Response:
        """``POST /git/<operation>``."""
        given = {**body, **({"path": str(path)} if path else {})}
        return self.service.http.post(f"/git/{operation}", json=given)

    def delete_branch(self, path: Path, name: str) -> httpx.Response:
        """``DELETE /git/branches``."""
        body = {"path": str(path), "name": name}
        return self.service.http.request("DELETE", "/git/branches", json=body)

    def status(self, path: Path | str) -> dict[str, Any]:
        """The status, which must be had."""
        answer = self.get("status", path)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def files(self, path: Path | str) -> dict[str, tuple[str, str]]:
        """Staging and worktree by name."""
        files = self.status(path)["fileStatus"]
        assert [file["name"] for file in files] == sorted(file["name"] for file in files)
        return {file["name"]: (file["staging"], file["worktree"]) for file in files}


def refused(answer: httpx.Response, status: int, code: str) -> str:
    """The message of an error answer, which must be this one."""
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answer.json()["source"] == "DAYTONA_DAEMON"
    return str(answer.json()["message"])


def done(answer: httpx.Response, status: int = 200) -> None:
    """An answer without content must be this one."""
    assert (answer.status_code, answer.text) == (status, "")


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    """A repository without a commit."""
    return Repository(tmp_path / "repo")


class GitContract:
    """The tests. ``backend`` is the name of the one tested."""

    backend: ClassVar[str]

    @pytest.fixture(scope="class")
    @classmethod
    def git(cls) -> Iterator[GitClient]:
        """A service with the backend, and a home of its own."""
        directory = Path(tempfile.mkdtemp(prefix="toolbox-git-"))
        home = directory / "home"
        home.mkdir()
        env = {"HOME": str(home), "GIT_CONFIG_SYSTEM": str(directory / "system")}
        settings = f'[git]\nbackend = "{cls.backend}"\n'
        running = Service(directory, settings=settings, env=env)
        try:
            yield GitClient(running)
        finally:
            running.stop()
            shutil.rmtree(directory, ignore_errors=True)

    @pytest.fixture
    def repo(self, tmp_path: Path) -> Iterator[Repository]:
        """A repository without a commit; it must be sound at the end."""
        repository = Repository(tmp_path / "repo")
        yield repository
        repository.git("fsck", "--strict")

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

    def test_add_is_by_literal_name(self, git: GitClient, repo: Repository) -> None:
        """Globs, options and pathspec magic are names like any other."""
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
        answer = git.post("commit", repo.path, message=message, **IDENTITY)
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"hash": repo.git("rev-parse", "HEAD")}
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

    def test_branches(self, git: GitClient, repo: Repository) -> None:
        repo.commit()
        repo.write("a", "changed\n")
        done(git.post("branches", repo.path, name="feature/x"), 201)
        answer = git.get("branches", repo.path).json()
        assert answer == {"branches": ["feature/x", "main"], "current": "feature/x"}
        assert git.files(repo.path) == {"a": ("Unmodified", "Modified")}
        for taken in ("main", "feature/x", "feature/x/y", "feature"):
            answer = git.post("branches", repo.path, name=taken)
            refused(answer, 409, "GIT_BRANCH_EXISTS")
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

    def test_checkout_never_takes_a_file(self, git: GitClient, repo: Repository) -> None:
        repo.commit("name", "committed\n")
        repo.write("name", "changed\n")
        for name in ("name", "./name", "-", "--", "-f", "--detach", "master", "@{-9}"):
            answer = git.post("checkout", repo.path, branch=name)
            refused(answer, 404, "GIT_BRANCH_NOT_FOUND")
        assert (repo.path / "name").read_text() == "changed\n"
        assert git.status(repo.path)["currentBranch"] == "main"

    def test_checkout_keeps_changes(self, git: GitClient, repo: Repository) -> None:
        """Those that are not in its way stay; others make it a 409 that has changed nothing."""
        repo.write("other")
        repo.commit("a", "one\n")
        repo.git("checkout", "-q", "-b", "dev")
        repo.write("untracked", "tracked on dev\n")
        repo.commit("a", "two\n")
        repo.git("checkout", "-q", "main")
        repo.write("other", "changed\n")
        for name in ("a", "untracked"):
            repo.write(name, "would be lost\n")
            answer = git.post("checkout", repo.path, branch="dev")
            refused(answer, 409, "GIT_DIRTY_WORKTREE")
            assert git.status(repo.path)["currentBranch"] == "main"
            assert (repo.path / name).read_text() == "would be lost\n"
            repo.write("a", "one\n")
        (repo.path / "untracked").unlink()
        done(git.post("checkout", repo.path, branch="dev"))
        assert git.files(repo.path) == {"other": ("Unmodified", "Modified")}

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
        answer = git.post("init", tmp_path / "c", initial_branch="a..b")
        refused(answer, 400, "BAD_REQUEST")
        assert not (tmp_path / "c").exists()

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
        answer = git.post("reset", repo.path, mode="wrong")
        refused(answer, 400, "INVALID_REQUEST_BODY")

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
        answer = git.post("restore", repo.path, files=["a"], source="no")
        refused(answer, 404, "GIT_BRANCH_NOT_FOUND")

    def test_clone(self, git: GitClient, repo: Repository, tmp_path: Path) -> None:
        repo.commit("run", "#!/bin/sh\n")
        (repo.path / "run").chmod(0o755)
        (repo.path / "link").symlink_to("run")
        repo.commit("dir/a")
        repo.git("tag", "v1")
        repo.git("branch", "other")
        clone = tmp_path / "deep/er/clone"
        done(git.post("clone", clone, url=str(repo.path), insecure_skip_tls=False))
        assert git.files(clone) == {}
        assert Repository(clone).git("status", "--porcelain") == ""
        assert Repository(clone).git("tag") == "v1"
        assert Repository(clone).git("branch", "-r", "--format=%(refname)").split() in (
            ["refs/remotes/origin/main"],
            ["refs/remotes/origin/HEAD", "refs/remotes/origin/main"],
        )
        assert (clone / "link").is_symlink()
        assert os.access(clone / "run", os.X_OK)
        remotes = git.get("remotes", clone).json()
        assert remotes == {"remotes": [{"name": "origin", "url": str(repo.path)}]}
        refused(git.post("clone", clone, url=str(repo.path)), 409, "CONFLICT")

    def test_clone_branch_commit_depth(
        self, git: GitClient, repo: Repository, tmp_path: Path
    ) -> None:
        commits = [repo.commit("a", str(number)) for number in range(4)]
        repo.git("checkout", "-q", "-b", "dev")
        repo.commit("b")
        repo.git("checkout", "-q", "main")
        done(git.post("clone", tmp_path / "b", url=str(repo.path), branch="dev"))
        status = git.status(tmp_path / "b")
        assert (status["currentBranch"], status["upstream"]) == ("dev", "origin/dev")
        done(git.post("clone", tmp_path / "d", url=repo.path.as_uri(), depth=2))
        assert len(git.get("history", tmp_path / "d").json()) == 2
        done(git.post("clone", tmp_path / "c", url=str(repo.path), commit_id=commits[1]))
        assert git.status(tmp_path / "c")["detached"]
        assert git.get("history", tmp_path / "c").json()[0]["hash"] == commits[1]
        assert git.files(tmp_path / "c") == {}

    def test_clone_refuses(self, git: GitClient, repo: Repository, tmp_path: Path) -> None:
        """It leaves nothing behind, so that the next one can succeed."""
        target = tmp_path / "new/target"
        answer = git.post("clone", target, url=str(repo.path))
        refused(answer, 404, "GIT_REPO_NOT_FOUND")
        answer = git.post("clone", target, url=str(tmp_path / "nothing"))
        refused(answer, 404, "GIT_REPO_NOT_FOUND")
        repo.commit()
        answer = git.post("clone", target, url=str(repo.path), branch="no")
        refused(answer, 404, "GIT_BRANCH_NOT_FOUND")
        answer = git.post("clone", target, url=str(repo.path), commit_id="f" * 40)
        refused(answer, 404, "GIT_BRANCH_NOT_FOUND")
        answer = git.post("clone", target, url=str(repo.path), depth=0)
        refused(answer, 400, "INVALID_REQUEST_BODY")
        for url in ("ext::sh -c true", "-u", "--upload-pack=x", "ftp://a/b", "x\ny"):
            refused(git.post("clone", target, url=url), 400, "BAD_REQUEST")
        assert not target.parent.exists()
        (tmp_path / "full").mkdir()
        (tmp_path / "full/file").write_text("")
        answer = git.post("clone", tmp_path / "full", url=str(repo.path))
        refused(answer, 409, "CONFLICT")
        empty = tmp_path / "empty"
        empty.mkdir()
        inode = empty.stat().st_ino
        done(git.post("clone", empty, url=str(repo.path)))
        assert empty.stat().st_ino == inode
        assert sorted(path.name for path in empty.iterdir()) == [".git", "a"]
        assert git.files(empty) == {}

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
        answer = git.post("push", repo.path, branch="no")
        refused(answer, 404, "GIT_BRANCH_NOT_FOUND")
        repo.git("checkout", "-q", "--detach")
        refused(git.post("push", repo.path), 404, "GIT_BRANCH_NOT_FOUND")
        done(git.post("push", repo.path, branch="main"))

    def test_remotes(self, git: GitClient, repo: Repository, tmp_path: Path) -> None:
        assert git.get("remotes", repo.path).json() == {"remotes": []}
        given = {"name": "up", "url": "https://example.org/a.git"}
        done(git.post("remotes", repo.path, fetch=False, overwrite=False, **given), 201)
        refused(git.post("remotes", repo.path, **given), 409, "CONFLICT")
        other = Repository(tmp_path / "other")
        other.commit()
        given["url"] = str(other.path)
        done(git.post("remotes", repo.path, overwrite=True, fetch=True, **given), 201)
        assert git.get("remotes", repo.path).json() == {"remotes": [given]}
        assert repo.git("rev-parse", "up/main") == other.git("rev-parse", "HEAD")
        for name, url in (("-x", "https://a/b"), ("a b", "https://a/b"), ("n", "ext::sh")):
            refused(git.post("remotes", repo.path, name=name, url=url), 400, "BAD_REQUEST")

    def test_config(self, git: GitClient, repo: Repository) -> None:
        for scope, path in (("global", ""), ("system", ""), ("local", repo.path)):
            given: dict[str, str] = {"key": "some.thing.Key", "scope": scope}
            assert git.get("config", path, **given).json() == {"value": None}
            for value in (f"of {scope}", "", 'multi\nline # ; "quoted" \\ ', " ü "):
                done(git.post("config", path, value=value, **given))
                assert git.get("config", path, **given).json() == {"value": value}
        repo.git("config", "--add", "multi.valued", "1")
        repo.git("config", "--add", "multi.valued", "2")
        answer = git.get("config", repo.path, key="multi.valued", scope="local")
        assert answer.json() == {"value": "2"}
        done(git.post("config", repo.path, key="multi.valued", value="3", scope="local"))
        assert repo.git("config", "--get-all", "multi.valued") == "3"
        assert repo.git("config", "some.thing.Key") == " ü "

    def test_config_refuses(self, git: GitClient, tmp_path: Path) -> None:
        for key in ("nosection", "a.", ".b", "a.1", "a b.c", "-x.y z", "a\n.b"):
            refused(git.get("config", key=key, scope="global"), 400, "BAD_REQUEST")
            answer = git.post("config", key=key, value="x")
            refused(answer, 400, "BAD_REQUEST")
        refused(git.get("config", key="a.b", scope="local"), 400, "BAD_REQUEST")
        refused(git.get("config", key="a.b", scope="worktree"), 400, "BAD_REQUEST")
        answer = git.get("config", tmp_path, key="a.b", scope="local")
        refused(answer, 404, "GIT_REPO_NOT_FOUND")

    def test_configure_user(self, git: GitClient, repo: Repository) -> None:
        done(git.post("config/user", repo.path, name="N", email="e@x", scope="local"))
        assert repo.git("config", "user.name") == "N"
        assert repo.git("config", "user.email") == "e@x"
        done(git.post("config/user", name="G", email="g@x", scope="global"))
        answer = git.get("config", key="user.email", scope="global")
        assert answer.json() == {"value": "g@x"}

    def test_exactly_this_directory(self, git: GitClient, repo: Repository, tmp_path: Path) -> None:
        """A repository that encloses the path is not meant (AC-73)."""
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
            answer = git.service.http.post(f"/git/{operation}", content=body)
            refused(answer, 400, "INVALID_REQUEST_BODY")
        refused(git.get("status"), 400, "BAD_REQUEST")
