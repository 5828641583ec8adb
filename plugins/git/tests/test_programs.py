"""The programs that a repository's own configuration may run, by operation (F-B7)."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from toolbox_git.contract import IDENTITY
from toolbox_git.contract import GitClient
from toolbox_git.contract import Repository
from toolbox_git.contract import done
from toolbox_git.contract import refused

from toolbox.testing import Service

USER = "ada-the-user"
PASSWORD = "s3cret/p@ss:wörd"
LOGIN = {"username": USER, "password": PASSWORD}
HOOKS = """applypatch-msg commit-msg fsmonitor-watchman post-checkout post-commit post-index-change
post-merge post-rewrite pre-auto-gc pre-commit pre-merge-commit pre-push pre-rebase
prepare-commit-msg reference-transaction"""


class Trap:
    """A program that records its arguments, and whether it could read a password."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "trap"
        self.notes = directory / "notes"
        self.path.write_text(
            f'#!/bin/sh\necho "$@" >>{self.notes}\nenv | grep -i password >>{self.notes}\n'
            'test "$1" = filter && exec cat\nexit 1\n'
        )
        self.path.chmod(0o755)

    def sprung(self) -> set[str]:
        """Return the recorded calls."""
        return set(self.notes.read_text().split("\n")) - {""} if self.notes.exists() else set()


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    return Trap(tmp_path)


@pytest.fixture
def work(repo: Repository, tmp_path: Path) -> Repository:
    """Create a repository with two commits, a branch, a local remote, and a submodule."""
    inner = Repository(tmp_path / "inner")
    inner.commit()
    repo.write(".gitattributes", "*.txt diff=d merge=m\n")
    repo.commit("a.txt", "one\n")
    repo.git("branch", "dev")
    allow = ("-c", "protocol.file.allow=always")
    repo.git(*allow, "submodule", "add", "-q", str(inner.path), "sub")
    repo.commit("a.txt", "two\n")
    bare = Repository(tmp_path / "bare.git", "--bare")
    repo.git("remote", "add", "origin", str(bare.path))
    repo.git("push", "-q", "origin", "main", "dev")
    return repo


def every_call(git: GitClient, repo: Repository) -> Iterator[httpx.Response]:
    """Call every operation on a repository and return the responses, errors included."""
    path = repo.path
    repo.write("a.txt", "three\n")
    repo.write("sub/a", "changed\n")
    for operation in ("status", "history", "branches", "remotes"):
        yield git.get(operation, path)
    yield git.post("add", path, files=["a.txt", "sub"])
    yield git.post("restore", path, files=["a.txt"], staged=True)
    yield git.post("add", path, files=["."])
    yield git.post("commit", path, message="m", **IDENTITY)
    yield git.post("commit", path, message="m\n\nKey: value", allow_empty=True, **IDENTITY)
    yield git.post("branches", path, name="new")
    yield git.post("checkout", path, branch="dev")
    yield git.post("checkout", path, branch="main")
    yield git.post("reset", path, mode="keep", target="HEAD~1")
    yield git.post("reset", path, mode="merge", target="HEAD~1")
    yield git.post("reset", path, mode="hard", target="HEAD~1")
    yield git.post("restore", path, files=["a.txt"], source="dev")
    yield git.post("reset", path, mode="hard")
    yield git.post("pull", path, branch="main")
    yield git.post("push", path, set_upstream=True)
    yield git.post("config", path, key="a.b", value="c", scope="local")
    yield git.post("remotes", path, name="other", url=str(path), fetch=True)
    yield git.delete_branch(path, "new")


def test_programs_of_working_trees(git: GitClient, work: Repository, trap: Trap) -> None:
    """Hooks, monitors, editors, pagers, signers, diff and merge programs aren't run."""
    hooks = trap.path.parent / "hooks"
    for directory in (hooks, work.path / ".git/hooks", work.path / ".git/modules/sub/hooks"):
        directory.mkdir(exist_ok=True)
        for name in HOOKS.split():
            shutil.copy(trap.path, directory / name)
    settings = {
        "core.hooksPath": hooks,
        "commit.gpgSign": "true",
        "push.gpgSign": "if-asked",
        "log.showSignature": "true",
        "submodule.recurse": "true",
        "alias.status": f"!{trap.path} alias",
    }
    for key in (
        *("core.fsmonitor", "core.editor", "sequence.editor", "core.pager", "pager.log"),
        *("pager.status", "gpg.program", "gpg.ssh.program", "gpg.x509.program", "diff.external"),
        *("diff.d.command", "diff.d.textconv", "merge.m.driver", "trailer.Key.command"),
        *("core.alternateRefsCommand", "uploadpack.packObjectsHook"),
    ):
        settings[key] = f"{trap.path} {key}"
    settings["submodule.sub.update"] = f"!{trap.path} submodule.sub.update"
    for key, value in settings.items():
        work.git("config", key, str(value))
        if not key.startswith("submodule"):
            work.git("-C", "sub", "config", key, str(value))
    answers = list(every_call(git, work))
    assert trap.sprung() == set()
    assert [response.text for response in answers if response.status_code >= 300] == []


def remote_calls(git: GitClient, repo: Repository, **login: str) -> list[httpx.Response]:
    """Call the operations that use ``origin``, and those that may fetch missing objects."""
    return [
        git.post("pull", repo.path, branch="main", **login),
        git.post("push", repo.path, **login),
        git.post("remotes", repo.path, name="origin", overwrite=True, fetch=True, url=_url(repo)),
    ]


def _url(repo: Repository) -> str:
    return repo.git("config", "remote.origin.url")


@pytest.fixture
def closed() -> Iterator[int]:
    """Return a port on which no process listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.mark.parametrize("where", ["config", "include", "worktree"])
def test_programs_of_transports(
    git: GitClient, work: Repository, trap: Trap, closed: int, where: str
) -> None:
    """SSH, proxies and the remote's programs, in any configuration file, are typed errors."""
    file = work.path / ".git/config"
    if where == "include":
        file = work.path / "included"
        work.git("config", "include.path", "../included")
    elif where == "worktree":
        file = work.path / ".git/config.worktree"
        work.git("config", "extensions.worktreeConfig", "true")
    keys = ("core.sshCommand", "core.gitProxy", "core.alternateRefsCommand")
    for key in (*keys, "remote.origin.uploadpack", "remote.origin.receivepack"):
        work.git("config", "-f", str(file), key, f"{trap.path} {key}")
    work.git("config", "-f", str(file), "protocol.ext.allow", "always")
    lender = Repository(work.path.parent / "lender")
    lender.commit()
    (work.path / ".git/objects/info/alternates").write_text(f"{lender.path}/.git/objects\n")
    for url in (f"ssh://127.0.0.1:{closed}/x", f"git://127.0.0.1:{closed}/x"):
        work.git("remote", "set-url", "origin", url)
        for response in remote_calls(git, work):
            refused(response, 502, "GIT_TRANSPORT_FAILED")
    work.git("remote", "set-url", "origin", str(work.path.parent / "bare.git"))
    for response in remote_calls(git, work):
        assert response.status_code < 300, response.text
    work.git("remote", "set-url", "origin", f"ext::{trap.path} ext")
    for response in remote_calls(git, work):
        refused(response, 400, "BAD_REQUEST")
    assert trap.sprung() == set()
    (work.path / ".git/objects/info/alternates").unlink()


def test_another_transport(git: GitClient, work: Repository, trap: Trap) -> None:
    work.git("config", "remote.origin.vcs", "ext")
    work.git("remote", "set-url", "origin", f"{trap.path} vcs")
    for response in remote_calls(git, work):
        assert 400 <= response.status_code < 500 or response.status_code == 502, response.text
    assert trap.sprung() == set()


@pytest.mark.parametrize("key", ["credential.helper", "credential.{}.helper", "core.askPass"])
def test_credential_helpers(
    git: GitClient, server: Any, work: Repository, trap: Trap, key: str
) -> None:
    """F-E6: a repository's own helpers aren't run, with or without credentials."""
    server.make("private.git")
    url = f"{server.url}/private.git"
    work.git("remote", "set-url", "origin", url)
    value = str(trap.path) if key == "core.askPass" else f"!{trap.path} helper; sleep 600;:"
    work.git("config", key.format(url), value)
    for response in remote_calls(git, work):
        refused(response, 401, "GIT_AUTH_FAILED")
    done(git.post("push", work.path, **LOGIN))
    done(git.post("pull", work.path, branch="main", **LOGIN))
    assert trap.sprung() == set()


@pytest.mark.parametrize("setting", ['[url "http://localhost:1/"]\n\tinsteadOf = {}', "[broken"])
def test_a_repository_around_a_clone(
    git: GitClient, server: Any, work: Repository, tmp_path: Path, setting: str
) -> None:
    """F-B7: a repository around the service's directory can't redirect credentials."""
    server.make("private.git")
    work.git("push", "-q", str(server.root / "private.git"), "main")
    around = Repository(git.service.work_dir)
    with (around.path / ".git/config").open("a") as config:
        config.write(setting.format(server.url + "/"))
    url = f"{server.url}/private.git"
    at = work.git("rev-parse", "main~1")
    answers = [
        git.post("clone", tmp_path / "clone", url=url, **LOGIN),
        git.post("clone", tmp_path / "at", url=url, commit_id=at, **LOGIN),
        git.post("clone", tmp_path / "other", url=url),
    ]
    shutil.rmtree(around.path / ".git")
    done(answers[0])
    done(answers[1])
    refused(answers[2], 401, "GIT_AUTH_FAILED")


def test_a_users_programs_are_run(
    git: GitClient, server: Any, work: Repository, trap: Trap
) -> None:
    """The user's helpers run, even if the repository names others, which don't."""

    def set_ssh(command: str) -> None:
        done(git.post("config", key="core.sshCommand", value=command, scope="global"))

    host = server.url.partition("//")[2]
    done(git.post("credentials", host=host, protocol="http", **LOGIN))
    server.make("private.git")
    work.git("config", "core.sshCommand", f"{trap.path} repository")
    work.git("config", "credential.helper", f"!{trap.path} repository; sleep 600;:")
    work.git("remote", "set-url", "origin", f"{server.url}/private.git")
    done(git.post("push", work.path))
    work.git("remote", "set-url", "origin", "ssh://localhost/x")
    for command in (f"{trap.path} user", "/nonexistent/ssh"):
        set_ssh(command)
        for response in remote_calls(git, work):
            refused(response, 502, "GIT_TRANSPORT_FAILED")
    set_ssh("ssh")
    assert {note.split()[0] for note in trap.sprung()} == {"user"}


def test_a_users_helper_is_bounded(
    make_service: Callable[..., Service], server: Any, work: Repository, tmp_path: Path
) -> None:
    """F-E6: a helper that waits for a user is killed with the processes it started."""
    (tmp_path / ".gitconfig").write_text('[credential]\n\thelper = "!sleep 600;:"\n')
    settings = '[git]\nbackend = "cli"\nstall_timeout = 1\n'
    git = GitClient(make_service(settings=settings, env={"HOME": str(tmp_path)}))
    server.make("private.git")
    work.git("remote", "set-url", "origin", f"{server.url}/private.git")
    for response in remote_calls(git, work):
        refused(response, 401, "GIT_AUTH_FAILED")
    url = f"{server.url}/private.git"
    refused(git.post("clone", tmp_path / "clone", url=url), 401, "GIT_AUTH_FAILED")


def test_filters_are_run(git: GitClient, server: Any, repo: Repository, trap: Trap) -> None:
    """Filters run, since content depends on them, but never see a request's credentials."""
    server.make("private.git")
    repo.write(".gitattributes", "*.txt filter=f\n")
    first = repo.commit("a.txt", "one\n")
    repo.commit("a.txt", "two\n")
    repo.git("push", "-q", str(server.root / "private.git"), "main")
    repo.git("remote", "add", "origin", f"{server.url}/private.git")
    repo.git("reset", "-q", "--hard", first)
    for kind in ("clean", "smudge"):
        repo.git("config", f"filter.f.{kind}", f"{trap.path} filter {kind}")

    def run_by(response: httpx.Response) -> set[str]:
        assert response.status_code == 200, response.text
        sprung = trap.sprung()
        trap.notes.unlink(missing_ok=True)
        return sprung

    assert "filter smudge" in run_by(git.post("pull", repo.path, branch="main", **LOGIN))
    repo.write("a.txt", "new\n")
    assert run_by(git.get("status", repo.path)) <= {"filter clean"}
    assert run_by(git.post("add", repo.path, files=["a.txt"])) == {"filter clean"}
    assert run_by(git.post("reset", repo.path, mode="hard")) >= {"filter smudge"}
    assert "filter smudge" in run_by(git.post("checkout", repo.path, branch=first))
    restored = git.post("restore", repo.path, files=["a.txt"], source="main")
    assert "filter smudge" in run_by(restored)
    assert run_by(git.post("push", repo.path, branch="main", **LOGIN)) == set()
    assert run_by(git.get("history", repo.path)) == set()
