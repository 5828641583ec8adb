"""Clone, from a directory."""

from __future__ import annotations

import os
from pathlib import Path

from toolbox_git.contract.client import GitClient
from toolbox_git.contract.client import done
from toolbox_git.contract.client import refused
from toolbox_git.contract.repository import Repository


class CloningContract:
    """Part of :class:`toolbox_git.contract.GitContract`."""

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

    def test_clone_tag(self, git: GitClient, repo: Repository, tmp_path: Path) -> None:
        """The branch may be a tag, as with ``git clone --branch``."""
        commit = repo.commit()
        repo.git("tag", "light")
        repo.git("tag", "-a", "full", "-m", "one")
        repo.commit("b")
        for tag in ("light", "full"):
            done(git.post("clone", tmp_path / tag, url=str(repo.path), branch=tag))
            assert git.status(tmp_path / tag)["detached"]
            assert git.files(tmp_path / tag) == {}
            assert git.get("history", tmp_path / tag).json()[0]["hash"] == commit
            assert git.get("branches", tmp_path / tag).json() == {"branches": [], "current": ""}
            clone = Repository(tmp_path / tag)
            assert clone.git("rev-parse", tag) == repo.git("rev-parse", tag)
            clone.git("fsck", "--strict")

    def test_clone_refuses(self, git: GitClient, repo: Repository, tmp_path: Path) -> None:
        """A refused clone leaves nothing behind, so the next one can succeed."""
        target = tmp_path / "new/target"
        response = git.post("clone", target, url=str(repo.path))
        refused(response, 404, "GIT_REPO_NOT_FOUND")
        response = git.post("clone", target, url=str(tmp_path / "nothing"))
        refused(response, 404, "GIT_REPO_NOT_FOUND")
        repo.commit()
        response = git.post("clone", target, url=str(repo.path), branch="no")
        refused(response, 404, "GIT_BRANCH_NOT_FOUND")
        response = git.post("clone", target, url=str(repo.path), commit_id="f" * 40)
        refused(response, 404, "GIT_BRANCH_NOT_FOUND")
        response = git.post("clone", target, url=str(repo.path), depth=0)
        refused(response, 400, "INVALID_REQUEST_BODY")
        for url in ("ext::sh -c true", "-u", "--upload-pack=x", "ftp://a/b", "x\ny"):
            refused(git.post("clone", target, url=url), 400, "BAD_REQUEST")
        assert not target.parent.exists()
        (tmp_path / "full").mkdir()
        (tmp_path / "full/file").write_text("")
        response = git.post("clone", tmp_path / "full", url=str(repo.path))
        refused(response, 409, "CONFLICT")
        empty = tmp_path / "empty"
        empty.mkdir()
        inode = empty.stat().st_ino
        done(git.post("clone", empty, url=str(repo.path)))
        assert empty.stat().st_ino == inode
        assert sorted(path.name for path in empty.iterdir()) == [".git", "a"]
        assert git.files(empty) == {}
