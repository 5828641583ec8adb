"""Repositories with rare features: our status is git's, and nothing is corrupted."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import pytest
from toolbox_git import models
from toolbox_git.cli.parsing import parse_status
from toolbox_git.contract import IDENTITY
from toolbox_git.contract import GitClient
from toolbox_git.contract import Repository
from toolbox_git.contract import done
from toolbox_git.contract import refused

Prepare = Callable[[Repository], None]


def index_of_version_4(repo: Repository) -> None:
    repo.git("update-index", "--index-version", "4")


def split_index(repo: Repository) -> None:
    repo.git("update-index", "--split-index")
    repo.commit("other")


def sparse_checkout(repo: Repository) -> None:
    repo.write("in/x")
    repo.commit("out/y")
    repo.git("sparse-checkout", "set", "--cone", "in")


def sparse_index(repo: Repository) -> None:
    sparse_checkout(repo)
    repo.git("sparse-checkout", "set", "--cone", "--sparse-index", "in")


def assume_unchanged(repo: Repository) -> None:
    repo.commit("kept")
    repo.git("update-index", "--assume-unchanged", "kept")
    repo.write("kept", "changed, and nobody is to know\n")


def skip_worktree(repo: Repository) -> None:
    repo.commit("kept")
    repo.git("update-index", "--skip-worktree", "kept")
    repo.write("kept", "changed, and nobody is to know\n")


def intent_to_add(repo: Repository) -> None:
    repo.write("later")
    repo.git("add", "--intent-to-add", "later")


def packed(repo: Repository) -> None:
    repo.git("tag", "-a", "v1", "-m", "one")
    repo.git("branch", "some/where")
    repo.git("gc", "-q")
    repo.git("commit-graph", "write", "--reachable")
    repo.git("multi-pack-index", "write", "--bitmap")


def separate_directory(repo: Repository) -> None:
    repo.git("init", "-q", "--separate-git-dir", str(repo.path.parent / "elsewhere"))


def modes_do_not_count(repo: Repository) -> None:
    repo.write("included", "[core]\n\tfileMode = false\n")
    repo.git("config", "include.path", "../included")
    (repo.path / "a").chmod(0o755)


def converted(repo: Repository) -> None:
    attributes = "utf16 working-tree-encoding=UTF-16\nhidden filter=hide\nident ident\n"
    repo.write(".gitattributes", attributes)
    repo.git("config", "filter.hide.clean", "sed s/secret/hidden/")
    repo.git("config", "filter.hide.smudge", "sed s/hidden/secret/")
    (repo.path / "utf16").write_bytes("h\u00e9\n".encode("utf-16"))
    repo.write("ident", "$Id$\n")
    repo.commit("hidden", "secret\n")
    assert repo.git("show", "HEAD:hidden") == "hidden"


def foreign_files(repo: Repository) -> None:
    os.mkfifo(repo.path / "pipe")
    (repo.path / "empty/inner").mkdir(parents=True)
    repo.write("/".join(["long" * 50] * 4) + "/file")


def alternates(repo: Repository) -> None:
    lender = Repository(repo.path.parent / "lender")
    commit = lender.commit("lent")
    borrowed = repo.path / ".git/objects/info/alternates"
    borrowed.write_text(f"{lender.path}/.git/objects\n")
    repo.git("reset", "-q", "--hard", commit)


def hashes_of_256_bits(repo: Repository) -> None:
    (repo.path / ".git").rename(repo.path.parent / "sha1")
    Repository(repo.path, "--object-format=sha256").commit()


EVERYWHERE: list[Prepare] = [
    index_of_version_4,
    sparse_checkout,
    assume_unchanged,
    skip_worktree,
    intent_to_add,
    packed,
    separate_directory,
    modes_do_not_count,
    converted,
    foreign_files,
    alternates,
]
WITH_THE_BINARY: list[Prepare] = [split_index, sparse_index, hashes_of_256_bits]


@pytest.mark.parametrize("prepare", [*EVERYWHERE, *WITH_THE_BINARY])
def test_kind(git: GitClient, repo: Repository, prepare: Prepare) -> None:
    repo.commit()
    prepare(repo)
    first = git.get("status", repo.path)
    if first.status_code == 501:
        only_with_the_binary(git, repo, prepare)
        return
    agree(git, repo)
    repo.write("new")
    repo.write("below/new")
    done(git.post("add", repo.path, files=["new", "below"]))
    agree(git, repo)
    answer = git.post("commit", repo.path, message="m", **IDENTITY)
    assert answer.status_code == 200, answer.text
    agree(git, repo)
    commits = git.get("history", repo.path).json()
    assert [commit["hash"] for commit in commits] == repo.git("rev-list", "HEAD").split()
    done(git.post("reset", repo.path, target="HEAD~1"))
    agree(git, repo)
    done(git.post("reset", repo.path, mode="hard", target=commits[0]["hash"]))
    agree(git, repo)


def agree(git: GitClient, repo: Repository) -> None:
    """Check that our status is git's."""
    options = ("--porcelain=v2", "-z", "--branch", "--untracked-files=all", "--no-renames")
    theirs = parse_status(repo.git("status", *options).encode("utf-8", "surrogateescape"))
    assert git.files(repo.path) == {
        file.name: (file.staging, file.worktree) for file in theirs.file_status
    }


def only_with_the_binary(git: GitClient, repo: Repository, prepare: Prepare) -> None:
    """Check that the backend dulwich responds 501 and changes nothing."""
    assert prepare in WITH_THE_BINARY
    assert 'backend = "dulwich"' in (git.service.directory / "toolbox.toml").read_text()
    before = (repo.path / ".git/index").read_bytes()
    repo.write("new")
    for answer in (
        git.post("add", repo.path, files=["new"]),
        git.post("commit", repo.path, message="m", **IDENTITY),
        git.post("reset", repo.path, mode="hard"),
    ):
        assert "the backend cli" in refused(answer, 501, "NOT_IMPLEMENTED")
    assert (repo.path / ".git/index").read_bytes() == before
    answer = git.post("clone", repo.path.parent / "clone", url=str(repo.path))
    if prepare is hashes_of_256_bits:
        refused(answer, 501, "NOT_IMPLEMENTED")
    else:
        done(answer)


def test_untracked_cache(git: GitClient, repo: Repository) -> None:
    """Git's cache of untracked files is dropped when the index changes."""
    repo.git("config", "core.untrackedCache", "true")
    first = repo.commit("below/known")
    repo.commit("below/new")
    repo.git("update-index", "--untracked-cache")
    # Git doesn't cache a directory that changed within the last moment.
    old = time.time() - 60
    os.utime(repo.path / "below", (old, old))
    os.utime(repo.path, (old, old))
    for _ in range(2):
        assert repo.git("status", "--porcelain") == ""
    done(git.post("reset", repo.path, target=first))
    assert repo.git("status", "--porcelain") == "?? below/new"


def test_a_clone_on_its_way(git: GitClient, repo: Repository, tmp_path: Path) -> None:
    """F-C20: a watch reports a clone when it is complete, under any name."""
    repo.commit()
    here = tmp_path / "here"
    here.mkdir()
    names = ["plain", "\N{PILE OF POO}" * 63]
    ws = git.service.websocket("/x/files/watch?" + urlencode({"path": here, "recursive": "true"}))
    for name in names:
        done(git.post("clone", here / name, url=str(repo.path)))
    (here / "end").touch()
    told: list[str] = []
    while str(here / "end") not in told:
        told += [each["path"] for each in json.loads(ws.recv())]
    ws.close()
    assert {str(here / name) for name in names} <= set(told)
    assert [path for path in told if ".toolbox" in path] == []


def test_damaged(git: GitClient, repo: Repository, tmp_path: Path) -> None:
    """A damaged repository is an error, not an empty response."""
    broken = Repository(tmp_path / "broken")
    commit = broken.commit()
    (broken.path / ".git/objects" / commit[:2] / commit[2:]).unlink()
    for operation in ("history", "status"):
        refused(git.get(operation, broken.path), 500, "INTERNAL_SERVER_ERROR")
    other = Repository(tmp_path / "other")
    other.commit()
    (other.path / ".git/index").write_bytes(b"nonsense")
    refused(git.get("status", other.path), 500, "INTERNAL_SERVER_ERROR")
    refused(git.post("add", other.path, files=["a"]), 500, "INTERNAL_SERVER_ERROR")
    with (repo.path / ".git/config").open("a") as config:
        config.write("[nonsense\n")
    try:
        for operation in ("history", "status"):
            refused(git.get(operation, repo.path), 500, "INTERNAL_SERVER_ERROR")
    finally:
        (repo.path / ".git/config").write_text("")


def test_null_is_an_absent_field() -> None:
    """SDKs send ``null`` or leave the field out."""
    kinds = [kind for name, kind in vars(models).items() if name.endswith("Request")]
    assert len(kinds) > 10
    for kind in kinds:
        for field in msgspec.structs.fields(kind):
            if not field.required:
                assert msgspec.convert(None, field.type) is None, f"{kind}.{field.name}"
