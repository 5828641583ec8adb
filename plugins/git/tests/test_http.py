"""A real git server: its possible responses, and the secrecy of credentials."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from toolbox_git.contract import GitClient
from toolbox_git.contract import Repository
from toolbox_git.contract import done
from toolbox_git.contract import refused

from toolbox.processes import descendants
from toolbox.testing import Service

USER = "ada-the-user"
PASSWORD = "s3cret/p@ss:wörd"
LOGIN = {"username": USER, "password": PASSWORD}


@pytest.fixture
def filled(server: Any, repo: Repository) -> Repository:
    """Create a working copy whose ``origin`` is ``private.git`` on the server, with one commit."""
    server.make("private.git")
    repo.commit()
    repo.git("push", "-q", str(server.root / "private.git"), "main")
    repo.git("remote", "add", "origin", f"{server.url}/private.git")
    return repo


def test_clone_pull_push(git: GitClient, server: Any, filled: Repository, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    done(git.post("clone", clone, url=f"{server.url}/private.git", **LOGIN))
    assert git.files(clone) == {}
    head = filled.commit("b")
    done(git.post("push", filled.path, set_upstream=True, **LOGIN))
    assert git.status(filled.path)["branchPublished"]
    done(git.post("pull", clone, **LOGIN))
    assert Repository(clone).git("rev-parse", "HEAD") == head
    server.password = "refreshed"
    refused(git.post("pull", clone, **LOGIN), 401, "GIT_AUTH_FAILED")
    done(git.post("pull", clone, username=USER, password="refreshed"))


def test_depth_branch_and_commit(
    git: GitClient, server: Any, filled: Repository, tmp_path: Path
) -> None:
    # AC-70
    commits = [filled.commit("a", str(number)) for number in range(5)]
    filled.git("tag", "-a", "v1", "-m", "one")
    filled.git("push", "-q", "--tags", str(server.root / "private.git"), "main")
    url = f"{server.url}/private.git"
    done(git.post("clone", tmp_path / "d", url=url, depth=2, branch="main", **LOGIN))
    assert len(git.get("history", tmp_path / "d").json()) == 2
    done(git.post("clone", tmp_path / "c", url=url, commit_id=commits[1], **LOGIN))
    assert git.get("history", tmp_path / "c").json()[0]["hash"] == commits[1]
    assert Repository(tmp_path / "c").git("cat-file", "-t", "v1") == "tag"
    filled.commit("later")
    filled.git("push", "-q", str(server.root / "private.git"), "main")
    done(git.post("pull", tmp_path / "d", **LOGIN))
    assert Repository(tmp_path / "d").git("fsck") == ""


@pytest.mark.parametrize("given", [{}, {**LOGIN, "password": "wrong"}, {"username": USER}])
def test_wrong_credentials(
    git: GitClient, server: Any, filled: Repository, tmp_path: Path, given: dict[str, str]
) -> None:
    # AC-72
    url = f"{server.url}/private.git"
    refused(git.post("clone", tmp_path / "clone", url=url, **given), 401, "GIT_AUTH_FAILED")
    filled.commit("b")
    refused(git.post("pull", filled.path, **given), 401, "GIT_AUTH_FAILED")
    refused(git.post("push", filled.path, **given), 401, "GIT_AUTH_FAILED")
    assert not (tmp_path / "clone").exists()


@pytest.mark.parametrize("word", ["git", "repository", "found", "r"])
def test_names_that_errors_are_told_by(
    git: GitClient, server: Any, tmp_path: Path, word: str
) -> None:
    """An error is recognized even if user name or password is a word of its message."""
    for given in ({"username": word, "password": PASSWORD}, {"username": USER, "password": word}):
        response = git.post("clone", tmp_path / "clone", url=f"{server.url}/private.git", **given)
        assert given["password"] not in refused(response, 401, "GIT_AUTH_FAILED").split()
        response = git.post("clone", tmp_path / "clone", url=f"{server.url}/public.git", **given)
        refused(response, 404, "GIT_REPO_NOT_FOUND")


def test_a_remote_keeps_no_credentials(git: GitClient, server: Any, filled: Repository) -> None:
    """AC-71: credentials in the URL of an added remote are used once."""
    url = f"{server.url}/private.git"
    inside = url.replace("://", f"://{USER}:{quote(PASSWORD, safe='')}@")
    with Watch(git.service.process.pid) as watch:
        given = {"name": "other", "url": inside}
        done(git.post("remotes", filled.path, fetch=True, **given), 201)
        done(git.post("remotes", filled.path, overwrite=True, **given), 201)
    assert {"name": "other", "url": url} in git.get("remotes", filled.path).json()["remotes"]
    assert filled.git("rev-parse", "other/main") == filled.git("rev-parse", "main")
    places = [*watch.arguments, (filled.path / ".git/config").read_bytes()]
    for secret in (PASSWORD, quote(PASSWORD, safe="")):
        assert not any(secret.encode() in place for place in places)


def test_what_the_server_refuses(
    git: GitClient, server: Any, filled: Repository, tmp_path: Path
) -> None:
    # AC-72
    for name, status, code in (
        ("nothing.git", 404, "GIT_REPO_NOT_FOUND"),
        ("forbidden.git", 403, "FORBIDDEN"),
        ("broken.git", 502, "GIT_TRANSPORT_FAILED"),
    ):
        url = f"{server.url}/{name}"
        refused(git.post("clone", tmp_path / "clone", url=url, **LOGIN), status, code)
        filled.git("remote", "set-url", "origin", url)
        refused(git.post("pull", filled.path, **LOGIN), status, code)
        refused(git.post("push", filled.path, **LOGIN), status, code)
    server.make("empty.git")
    response = git.post("clone", tmp_path / "clone", url=f"{server.url}/empty.git", **LOGIN)
    refused(response, 404, "GIT_REPO_NOT_FOUND")
    assert not (tmp_path / "clone").exists()


def test_rejected_pushes(git: GitClient, server: Any, filled: Repository, tmp_path: Path) -> None:
    # AC-72
    clone = Repository(tmp_path / "clone")
    clone.git("pull", "-q", str(server.root / "private.git"), "main")
    clone.commit("c")
    clone.git("push", "-q", str(server.root / "private.git"), "main")
    filled.commit("d")
    refused(git.post("push", filled.path, **LOGIN), 409, "GIT_PUSH_REJECTED")
    refused(git.post("pull", filled.path, **LOGIN), 409, "GIT_MERGE_CONFLICT")
    hook = server.root / "private.git/hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho the branch is protected\nexit 1\n")
    hook.chmod(0o755)
    filled.git("checkout", "-q", "-b", "new")
    refused(git.post("push", filled.path, **LOGIN), 422, "GIT_REMOTE_REJECTED")
    assert not git.status(filled.path)["branchPublished"]


def test_dead_hosts(git: GitClient, filled: Repository, tmp_path: Path) -> None:
    # AC-72
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        for host in (f"127.0.0.1:{bound.getsockname()[1]}", "no-such-host.invalid"):
            url = f"http://{host}/a.git"
            response = git.post("clone", tmp_path / "clone", url=url)
            refused(response, 502, "GIT_TRANSPORT_FAILED")
            filled.git("remote", "set-url", "origin", url)
            refused(git.post("pull", filled.path), 502, "GIT_TRANSPORT_FAILED")
            refused(git.post("push", filled.path), 502, "GIT_TRANSPORT_FAILED")


@pytest.mark.parametrize("backend", ["cli", "dulwich"])
def test_silent_host(
    make_service: Callable[..., Service], backend: str, server: Any, tmp_path: Path
) -> None:
    settings = f'[git]\nbackend = "{backend}"\nstall_timeout = 1\n'
    git = GitClient(make_service(settings=settings))
    response = git.post("clone", tmp_path / "clone", url=f"{server.url}/hangs/a.git")
    refused(response, 502, "GIT_TRANSPORT_FAILED")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        for scheme in ("git", "ssh"):  # F-E6: nothing of a remote lasts for an hour.
            response = git.post("clone", tmp_path / "clone", url=f"{scheme}://{host}/a.git")
            refused(response, 502, "GIT_TRANSPORT_FAILED")


def test_untrusted_certificate(
    git: GitClient, tls_server: Any, repo: Repository, tmp_path: Path
) -> None:
    # AC-72
    tls_server.make("private.git")
    repo.commit()
    repo.git("push", "-q", str(tls_server.root / "private.git"), "main")
    url = f"{tls_server.url}/private.git"
    response = git.post("clone", tmp_path / "clone", url=url, **LOGIN)
    refused(response, 502, "GIT_TRANSPORT_FAILED")
    assert tls_server.seen == []
    response = git.post("clone", tmp_path / "clone", url=url, insecure_skip_tls=True, **LOGIN)
    done(response)
    assert tls_server.seen[-1][1].startswith("Basic ")
    seen = len(tls_server.seen)
    refused(git.post("pull", tmp_path / "clone", **LOGIN), 502, "GIT_TRANSPORT_FAILED")
    refused(git.post("push", tmp_path / "clone", **LOGIN), 502, "GIT_TRANSPORT_FAILED")
    assert len(tls_server.seen) == seen


def test_the_authority_that_the_environment_names_is_trusted(
    tls_server: Any, repo: Repository, make_service: Any, tmp_path: Path
) -> None:
    tls_server.make("private.git")
    repo.commit()
    repo.git("push", "-q", str(tls_server.root / "private.git"), "main")
    named = {"GIT_SSL_CAINFO": str(tmp_path / "public.pem")}
    for backend in ("cli", "dulwich"):
        git = GitClient(make_service(settings=f'[git]\nbackend = "{backend}"\n', env=named))
        url = f"{tls_server.url}/private.git"
        done(git.post("clone", tmp_path / backend, url=url, **LOGIN))


def test_stored_credentials(
    git: GitClient, server: Any, filled: Repository, tmp_path: Path
) -> None:
    """Stored credentials are used for requests without any, and replaced by later ones."""
    host = server.url.partition("//")[2]
    for password in ("outdated", PASSWORD):
        given = {"username": USER, "password": password, "host": host, "protocol": "http"}
        done(git.post("credentials", **given))
    done(git.post("clone", tmp_path / "clone", url=f"{server.url}/private.git"))
    done(git.post("pull", tmp_path / "clone"))
    filled.commit("b")
    done(git.post("push", filled.path))
    filled.git("remote", "remove", "origin")
    given = {"name": "origin", "url": f"{server.url}/private.git"}
    done(git.post("remotes", filled.path, fetch=True, **given), 201)
    kept = git.service.directory / "home/.git-credentials"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.read_text().count(host.replace(":", "%3a")) + kept.read_text().count(host) == 1
    helper = git.get("config", key="credential.helper", scope="global").json()
    assert helper == {"value": "store"}


def test_ssh_takes_no_password(git: GitClient, tmp_path: Path) -> None:
    for url in ("ssh://git@localhost/a.git", "git@localhost:a.git"):
        response = git.post("clone", tmp_path / "clone", url=url, **LOGIN)
        refused(response, 401, "GIT_AUTH_FAILED")


class Watch:
    """A collector of the argument lists of a process's descendants."""

    def __init__(self, pid: int) -> None:
        self.arguments: set[bytes] = set()
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.002):
            for pid in descendants(self._pid):
                with contextlib.suppress(OSError):
                    self.arguments.add(Path(f"/proc/{pid}/cmdline").read_bytes())


def test_credentials_are_nowhere(
    git: GitClient, server: Any, filled: Repository, tmp_path: Path
) -> None:
    """AC-71: credentials appear in no argv, remote, configuration, reflog, error or log."""
    clone = tmp_path / "clone"
    url = f"{server.url}/private.git"
    inside = url.replace("://", f"://{USER}:{quote(PASSWORD, safe='')}@")
    with Watch(git.service.process.pid) as watch:
        answers = [git.post("clone", clone, url=url, **LOGIN)]
        answers += [git.post("clone", tmp_path / "second", url=inside)]
        for body in ({}, {"set_upstream": True}):
            filled.commit("b", str(body))
            answers += [git.post("push", filled.path, **body, **LOGIN)]
            answers += [git.post("pull", clone, **LOGIN)]
        assert [response.status_code for response in answers] == [200] * len(answers)
        for bad in (
            f"{inside}-nothing",
            inside.replace("private", "broken"),
            inside.replace("private", "forbidden"),
            inside.replace(url.split("/")[2], "no-such-host.invalid"),
        ):
            answers += [git.post("clone", tmp_path / "failed", url=bad)]
            assert answers[-1].status_code >= 400
        server.password = "other"
        answers += [git.post("pull", clone, **LOGIN), git.post("push", filled.path, **LOGIN)]
    assert any(b"git" in arguments for arguments in watch.arguments)
    kept = [
        path.read_bytes()
        for root in (clone, filled.path, tmp_path / "second")
        for path in root.rglob("*")
        if path.is_file()
    ]
    said = [response.content for response in answers] + [git.service.log().encode()]
    encoded = server.seen[-1][1].removeprefix("Basic ")
    for secret in (PASSWORD, quote(PASSWORD, safe=""), encoded or "no"):
        for place in (*watch.arguments, *kept, *said):
            assert secret.encode() not in place
    assert git.get("remotes", tmp_path / "second").json()["remotes"][0]["url"] == url


def test_client_that_goes_away(
    git: GitClient, server: Any, filled: Repository, tmp_path: Path
) -> None:
    """The clone of a disconnected client is terminated and doesn't block the next one."""
    clone = tmp_path / "clone"
    body = json.dumps({"url": f"{server.url}/hangs/a.git", "path": str(clone)})
    head = (
        f"POST /git/clone HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        f"Authorization: Bearer {git.service.token}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", git.service.port)) as client:
        client.sendall(f"{head}{body}".encode())
        assert server.asked.wait(60)
    done(git.post("clone", clone, url=f"{server.url}/private.git", **LOGIN))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clone", "repo", "server"]


def test_service_that_dies(
    server: Any, filled: Repository, make_service: Any, tmp_path: Path
) -> None:
    """The next clone removes the remains of one whose service was killed."""
    import signal

    for backend in ("cli", "dulwich"):
        clone = tmp_path / backend / "clone"
        settings = f'[git]\nbackend = "{backend}"\n'
        first = make_service(settings=settings)
        server.asked.clear()

        def ask(service: Any = first, path: Path = clone) -> None:
            body = {"url": f"{server.url}/hangs/a.git", "path": str(path)}
            with contextlib.suppress(httpx.HTTPError), service.client(service.token) as client:
                client.post("/git/clone", json=body)

        thread = threading.Thread(target=ask)
        thread.start()
        assert server.asked.wait(60)
        for pid in first.workers():
            os.kill(pid, signal.SIGKILL)
        thread.join(60)
        second = GitClient(make_service(settings=settings))
        done(second.post("clone", clone, url=f"{server.url}/private.git", **LOGIN))
        assert [path.name for path in clone.parent.iterdir()] == ["clone"]
