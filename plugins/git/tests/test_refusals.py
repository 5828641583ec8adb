"""Refusals by git: reported in its own words, and never as an internal error."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from toolbox_git.contract import IDENTITY
from toolbox_git.contract import GitClient
from toolbox_git.contract import Repository
from toolbox_git.contract import done
from toolbox_git.contract import refused


@pytest.fixture
def pair(repo: Repository, tmp_path: Path) -> tuple[Repository, Repository]:
    """Create a working copy, and the bare ``origin`` that has its one commit."""
    repo.commit()
    bare = Repository(tmp_path / "bare.git", "--bare")
    repo.git("remote", "add", "origin", str(bare.path))
    repo.git("push", "-q", "origin", "main")
    return repo, bare


def test_reasons_of_a_rejected_push(
    git: GitClient, pair: tuple[Repository, Repository], tmp_path: Path
) -> None:
    """F-E17"""
    repo, bare = pair
    other = Repository(tmp_path / "other")
    other.git("pull", "-q", str(bare.path), "main")
    other.commit("theirs")
    other.git("push", "-q", str(bare.path), "main")
    repo.commit("ours")
    message = refused(git.post("push", repo.path), 409, "GIT_PUSH_REJECTED")
    assert "[rejected] main -> main (fetch first)" in message
    repo.git("fetch", "-q", "origin")
    message = refused(git.post("push", repo.path), 409, "GIT_PUSH_REJECTED")
    assert "[rejected] main -> main (non-fast-forward)" in message


def test_words_of_a_hook(git: GitClient, server: Any, repo: Repository) -> None:
    """F-E17: any message of a hook means that the remote refused."""
    bare = server.make("public.git")
    repo.commit()
    repo.git("remote", "add", "origin", f"{server.url}/public.git")
    hook = bare.path / "hooks/pre-receive"
    for words in ("only on Fridays", "no space left on device", "index.lock': File exists"):
        hook.write_text(f'#!/bin/sh\necho "{words}"\nexit 1\n')
        hook.chmod(0o755)
        message = refused(git.post("push", repo.path), 422, "GIT_REMOTE_REJECTED")
        assert f"remote: {words}" in message
        assert "[remote rejected] main -> main (pre-receive hook declined)" in message
    hook.unlink()
    done(git.post("push", repo.path))


def test_shallow_update_refused(
    git: GitClient, server: Any, repo: Repository, tmp_path: Path
) -> None:
    """F-C13"""
    bare = server.make("public.git")
    for number in range(3):
        repo.commit("a", str(number))
    clone = tmp_path / "clone"
    repo.git("clone", "-q", "--depth", "1", repo.path.as_uri(), str(clone))
    shallow = Repository(clone)
    shallow.git("remote", "set-url", "origin", f"{server.url}/public.git")
    shallow.commit("b")
    response = git.post("push", clone)
    assert response.status_code == 422, response.text
    assert bare.git("for-each-ref") == ""


def test_branch_of_another_worktree(git: GitClient, repo: Repository, tmp_path: Path) -> None:
    """F-C13"""
    repo.commit()
    side = tmp_path / "side"
    repo.git("worktree", "add", "-q", "-b", "side", str(side))
    message = refused(git.post("checkout", repo.path, branch="side"), 409, "CONFLICT")
    assert "side" in message
    refused(git.post("checkout", side, branch="main"), 409, "CONFLICT")
    refused(git.delete_branch(repo.path, "side"), 409, "CONFLICT")
    assert git.status(repo.path)["currentBranch"] == "main"
    done(git.post("checkout", side, branch="side"))
    shutil.rmtree(side)


@pytest.mark.parametrize("kind", ["clean", "smudge", "process"])
@pytest.mark.parametrize("command", ["/nonexistent/program", "false", "kill -9 $$"])
def test_failing_filters(
    git: GitClient, repo: Repository, tmp_path: Path, kind: str, command: str
) -> None:
    """F-C13: a filter may be missing, fail, or be killed."""
    repo.write("b.txt", "b\n")
    repo.commit(".gitattributes", "*.txt filter=f\n")
    first = repo.git("rev-parse", "HEAD")
    repo.commit("b.txt", "c\n")
    repo.git("config", f"filter.f.{kind}", command)
    repo.git("config", "filter.f.required", "true")
    responses = []
    if kind != "smudge":
        repo.write("a.txt")
        responses += [git.post("add", repo.path, files=["a.txt"])]
    if kind != "clean":
        responses += [
            git.post("checkout", repo.path, branch=first),
            git.post("reset", repo.path, target=first, mode="hard"),
            git.post("restore", repo.path, files=["b.txt"], source=first),
        ]
    for response in responses:
        refused(response, 422, "GIT_FILTER_FAILED")
    repo.git("config", "--remove-section", "filter.f")


def test_unmerged(git: GitClient, repo: Repository) -> None:
    """F-C13"""
    repo.commit("a", "base\n")
    repo.git("checkout", "-q", "-b", "theirs")
    repo.commit("a", "theirs\n")
    repo.git("checkout", "-q", "main")
    repo.commit("a", "ours\n")
    command = ["git", "-c", "user.name=x", "-c", "user.email=x", "merge", "-q", "theirs"]
    assert subprocess.run(command, cwd=repo.path, capture_output=True).returncode == 1
    repo.git("remote", "add", "origin", str(repo.path))
    for response in (
        git.post("checkout", repo.path, branch="theirs"),
        git.post("commit", repo.path, message="m", **IDENTITY),
        git.post("reset", repo.path, mode="keep", target="HEAD~1"),
        git.post("restore", repo.path, files=["a"]),
        git.post("pull", repo.path, branch="theirs"),
    ):
        assert 400 <= response.status_code < 500, response.text
    assert (repo.path / "a").read_text().startswith("<<<<<<<")
    assert git.files(repo.path) == {"a": ("Updated but unmerged", "Updated but unmerged")}
    done(git.post("restore", repo.path, files=["a"], source="theirs"))
    assert (repo.path / "a").read_text() == "theirs\n"
    assert git.files(repo.path) == {"a": ("Updated but unmerged", "Updated but unmerged")}
    done(git.post("reset", repo.path, mode="hard"))


def test_unrelated_histories(git: GitClient, repo: Repository, tmp_path: Path) -> None:
    """F-C13"""
    repo.commit()
    other = Repository(tmp_path / "other")
    other.commit("b")
    repo.git("remote", "add", "origin", str(other.path))
    refused(git.post("pull", repo.path), 409, "GIT_MERGE_CONFLICT")
    assert git.files(repo.path) == {}


@pytest.mark.parametrize("lock", ["index.lock", "HEAD.lock", "refs/heads/main.lock", "config.lock"])
def test_locks(
    git: GitClient, pair: tuple[Repository, Repository], tmp_path: Path, lock: str
) -> None:
    """F-C13"""
    repo, bare = pair
    first = repo.commit("b")
    repo.commit("c")
    repo.git("branch", "dev", first)
    other = Repository(tmp_path / "other")
    other.git("pull", "-q", str(repo.path), "main")
    other.commit("d")
    other.git("push", "-q", str(bare.path), "main")
    repo.write("new")
    held = repo.path / ".git" / lock
    held.touch()
    for response in (
        git.post("checkout", repo.path, branch="dev"),
        git.post("checkout", repo.path, branch="main"),
        git.post("reset", repo.path, target=first, mode="hard"),
        git.post("add", repo.path, files=["new"]),
        git.post("commit", repo.path, message="m", **IDENTITY),
        git.post("branches", repo.path, name="fresh"),
        git.post("pull", repo.path, branch="main"),
        git.post("push", repo.path, branch="main", set_upstream=True),
        git.post("config", repo.path, key="a.b", value="c", scope="local"),
        git.post("remotes", repo.path, name="more", url=str(bare.path)),
        git.delete_branch(repo.path, "dev"),
    ):
        assert response.status_code < 300 or response.status_code == 409, response.text
    held.unlink()


def test_submodules(git: GitClient, repo: Repository, tmp_path: Path) -> None:
    """F-C13"""
    inner = Repository(tmp_path / "inner")
    inner.commit()
    repo.commit()
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner.path), "sub")
    repo.git("commit", "-q", "-m", "with a submodule")
    Repository(repo.path / "sub/empty")
    for response in (
        git.post("add", repo.path, files=["sub/a"]),
        git.post("restore", repo.path, files=["sub/a"]),
        git.post("add", repo.path / "sub", files=["empty"]),
    ):
        assert 400 <= response.status_code < 500, response.text
    os.rename(repo.path / ".git/modules/sub", tmp_path / "gone")
    for response in (
        git.get("status", repo.path),
        git.post("add", repo.path, files=["."]),
        git.get("status", repo.path / "sub"),
        git.post("add", repo.path / "sub", files=["a"]),
    ):
        assert response.status_code < 500, response.text
    os.rename(tmp_path / "gone", repo.path / ".git/modules/sub")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount an empty file system of a megabyte."""
    where = tmp_path / "disk"
    where.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(where)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        if os.environ.get("CI"):
            pytest.fail("a file system can't be mounted")
        pytest.skip("only root can mount a file system, and not everywhere")
    yield where
    subprocess.run(["umount", "--lazy", str(where)], check=True)


def test_read_only_disk(git: GitClient, repo: Repository, disk: Path) -> None:
    """F-E12: errors don't mention the temporary directory of a clone."""
    repo.commit()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    message = refused(git.post("clone", disk / "clone", url=str(repo.path)), 403, "FORBIDDEN")
    assert message == f"{disk / 'clone'}: Read-only file system"


def test_full_disk(git: GitClient, repo: Repository, disk: Path) -> None:
    """F-C13: a full disk is reported as such, for any file being written."""
    repo.write("large", os.urandom(1024 * 1024).hex())
    refused(git.post("clone", disk / "clone", url=str(repo.path)), 404, "GIT_REPO_NOT_FOUND")
    first = repo.commit("small")
    repo.git("rm", "-q", "large")
    second = repo.commit("other")
    full = (507, "INSUFFICIENT_STORAGE")
    refused(git.post("clone", disk / "clone", url=str(repo.path)), *full)
    assert list(disk.iterdir()) == []
    done(git.post("clone", disk / "clone", url=str(repo.path), depth=1))
    clone = Repository(disk / "clone")
    assert clone.git("rev-parse", "HEAD") == second
    (disk / "filler").write_bytes(bytes(1024 * 1024 - 256 * 1024))
    refused(git.post("clone", disk / "more", url=str(repo.path), commit_id=first, depth=1), *full)
    (clone.path / "added").write_bytes(os.urandom(100_000))
    with (disk / "filler").open("ab", 0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    for response in (
        git.post("add", clone.path, files=["added"]),
        git.post("commit", clone.path, message="m", allow_empty=True, **IDENTITY),
        git.post("branches", clone.path, name="new"),
    ):
        refused(response, *full)
    (disk / "filler").unlink()
    assert git.files(clone.path) == {"added": ("Untracked", "Untracked")}
    clone.git("fsck")


def test_damaged_configuration(git: GitClient, repo: Repository) -> None:
    """A damaged configuration doesn't look like a missing branch or remote."""
    repo.commit()
    config = repo.path / ".git/config"
    sound = config.read_text()
    config.write_text("[core\n")
    responses = [
        git.get("status", repo.path),
        git.get("remotes", repo.path),
        git.get("branches", repo.path),
        git.post("checkout", repo.path, branch="main"),
        git.post("branches", repo.path, name="new"),
        git.delete_branch(repo.path, "main"),
        git.post("reset", repo.path, target="HEAD"),
        git.post("restore", repo.path, files=["a"], source="HEAD"),
        git.post("pull", repo.path),
        git.post("push", repo.path),
    ]
    config.write_text(sound)
    for response in responses:
        refused(response, 500, "INTERNAL_SERVER_ERROR")
