"""Generated histories: each operation leaves a sound repository, and our status is git's."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from toolbox_git.cli.parsing import parse_status
from toolbox_git.contract import IDENTITY
from toolbox_git.contract import GitClient
from toolbox_git.contract import Repository

PATHS = st.sampled_from(["a", "b", "d/a", "d/b", "d/e/f", "x.log", "d/x.log", "b/c", ".gitignore"])
TEXTS = st.sampled_from(["", "one\n", "two\n", "*.log\n", "d/\n!d/a\n", "one\r\n"])
BRANCHES = st.sampled_from(["main", "dev", "dev/x", "topic"])
REVISIONS = st.sampled_from(["HEAD", "HEAD~1", "main", "dev", "v1"])
MODES = st.sampled_from(["soft", "mixed", "hard", "merge", "keep"])
ON_DISK = st.one_of(
    st.tuples(st.just("write"), PATHS, TEXTS),
    st.tuples(st.just("remove"), PATHS),
    st.tuples(st.just("mode"), PATHS),
    st.tuples(st.just("link"), PATHS, PATHS),
    st.tuples(st.just("touch"), PATHS),
)
OPERATIONS = st.one_of(
    st.tuples(st.just("add"), st.one_of(PATHS, st.just("."), st.just("d"))),
    st.tuples(st.just("commit")),
    st.tuples(st.just("branches"), BRANCHES),
    st.tuples(st.just("checkout"), st.one_of(BRANCHES, REVISIONS)),
    st.tuples(st.just("reset"), MODES, REVISIONS),
    st.tuples(st.just("restore"), PATHS, st.booleans(), st.booleans()),
    st.tuples(st.just("tag")),
)
STEPS = st.lists(st.one_of(ON_DISK, ON_DISK, OPERATIONS, OPERATIONS), min_size=4, max_size=24)


OFTEN = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def on_disk(repo: Repository, step: tuple[str, ...]) -> None:
    """Change a file, unless a parent directory is a file."""
    path = repo.path / step[1]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if step[0] == "write" and not path.is_symlink():
            path.write_text(step[2])
        elif step[0] == "remove":
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        elif step[0] == "mode" and not path.is_symlink():
            path.chmod(path.stat().st_mode ^ 0o111)
        elif step[0] == "link":
            path.symlink_to(step[2])
        elif step[0] == "touch":
            path.touch()
    except OSError:
        pass


def operate(git: GitClient, repo: Repository, step: tuple[str, ...]) -> int:
    """Perform one operation; return the status of the response."""
    if step[0] == "add":
        return git.post("add", repo.path, files=[step[1]]).status_code
    if step[0] == "commit":
        return git.post("commit", repo.path, message="m", **IDENTITY).status_code
    if step[0] == "branches":
        return git.post("branches", repo.path, name=step[1]).status_code
    if step[0] == "checkout":
        return git.post("checkout", repo.path, branch=step[1]).status_code
    if step[0] == "reset":
        return git.post("reset", repo.path, mode=step[1], target=step[2]).status_code
    given = {"files": [step[1]], "staged": step[2], "worktree": step[3]}
    return git.post("restore", repo.path, **given).status_code


def take(git: GitClient, repo: Repository, step: tuple[str, ...]) -> int | None:
    """Take one step; return the status of the response if it was an operation."""
    if step[0] == "tag":
        repo.git("tag", "-f", "v1")
    elif step[0] in ("write", "remove", "mode", "link", "touch"):
        on_disk(repo, step)
    else:
        return operate(git, repo, step)
    return None


@OFTEN
@given(steps=STEPS)
def test_agrees_with_git(git: GitClient, steps: list[tuple[str, ...]]) -> None:
    with tempfile.TemporaryDirectory(prefix="toolbox-git-") as directory:
        repo = Repository(Path(directory))
        repo.commit()
        for step in steps:
            status = take(git, repo, step)
            assert status in (None, 200, 201, 400, 404, 409), step
            if status:
                compare(git, repo, step)
        repo.git("fsck", "--strict")
        commits = git.get("history", repo.path).json()
        assert {commit["hash"] for commit in commits} == set(repo.git("rev-list", "HEAD").split())


@OFTEN
@given(steps=STEPS)
def test_backends_agree(gits: list[GitClient], steps: list[tuple[str, ...]]) -> None:
    """The backends give the same responses, index and files."""
    with tempfile.TemporaryDirectory(prefix="toolbox-git-") as directory:
        repos = [Repository(Path(directory, str(number))) for number, _ in enumerate(gits)]
        for repo in repos:
            repo.commit()
        for step in steps:
            results = [take(git, repo, step) for git, repo in zip(gits, repos, strict=True)]
            assert results[0] == results[1], step
            if results[0]:
                assert snapshot(repos[0]) == snapshot(repos[1]), (step, results)


def snapshot(repo: Repository) -> tuple[Any, ...]:
    """Return the files, the index, the commit's tree and the target of HEAD."""
    files: dict[str, Any] = {}
    for path in sorted(repo.path.rglob("*")):
        name = path.relative_to(repo.path)
        if name.parts[0] == ".git":
            continue
        if path.is_symlink():
            files[str(name)] = path.readlink()
        elif path.is_file():
            files[str(name)] = (path.stat().st_mode & 0o111, path.read_bytes())
        else:
            files[str(name)] = None
    head = (repo.path / ".git/HEAD").read_text()
    return (
        files,
        repo.git("ls-files", "-s"),
        repo.git("rev-parse", "HEAD^{tree}"),
        head if head.startswith("ref:") else "detached",
    )


def compare(git: GitClient, repo: Repository, step: tuple[str, ...]) -> None:
    """Compare our status with ``git status``, and the index with git's refreshed one."""
    options = ("--porcelain=v2", "-z", "--branch", "--untracked-files=all", "--no-renames")
    theirs = parse_status(repo.git("status", *options).encode("utf-8", "surrogateescape"))
    ours = git.status(repo.path)
    expected = {file.name: (file.staging, file.worktree) for file in theirs.file_status}
    found = {file["name"]: (file["staging"], file["worktree"]) for file in ours["fileStatus"]}
    assert found == expected, step
    assert ours["currentBranch"] == theirs.current_branch
