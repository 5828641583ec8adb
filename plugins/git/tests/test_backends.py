"""The choice of the backend, its requirements, and the end of its processes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from toolbox_git.contract import IDENTITY
from toolbox_git.contract import GitClient
from toolbox_git.contract import Repository
from toolbox_git.contract import done
from toolbox_git.contract import refused

from toolbox.processes import descendants
from toolbox.testing import Service


def helpers(service: Service) -> list[int]:
    """Return the worker processes of the backend dulwich."""
    found = []
    for pid in descendants(service.process.pid):
        try:
            if b"toolbox_git.dulwich.workers.main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
        except OSError:
            continue
    return found


def test_auto_takes_the_binary(make_service: Callable[..., Service], repo: Repository) -> None:
    service = make_service()
    assert GitClient(service).files(repo.path) == {}
    assert "git: the backend is cli" in service.log()
    assert helpers(service) == []


def test_auto_without_the_binary(
    make_service: Callable[..., Service], repo: Repository, tmp_path: Path
) -> None:
    """Without git the backend is dulwich."""
    repo.commit()
    service = make_service(env={"PATH": str(tmp_path), "HOME": str(tmp_path)})
    git = GitClient(service)
    done(git.post("clone", tmp_path / "clone", url=str(repo.path)))
    (tmp_path / "clone/new").write_text("new")
    done(git.post("add", tmp_path / "clone", files=["new"]))
    assert git.post("commit", tmp_path / "clone", message="m", **IDENTITY).status_code == 200
    assert "git: the backend is dulwich" in service.log()


def test_cli_without_the_binary(
    make_service: Callable[..., Service], repo: Repository, tmp_path: Path
) -> None:
    service = make_service(settings='[git]\nbackend = "cli"\n', env={"PATH": str(tmp_path)})
    message = refused(GitClient(service).get("status", repo.path), 503, "SERVICE_UNAVAILABLE")
    assert message == "git is not installed"


def test_helper_that_died(make_service: Callable[..., Service], repo: Repository) -> None:
    service = make_service(settings='[git]\nbackend = "dulwich"\n')
    git = GitClient(service)
    assert git.files(repo.path) == {}
    (first,) = helpers(service)
    os.kill(first, signal.SIGKILL)
    assert git.files(repo.path) == {}
    assert helpers(service) != [first]


def test_stop_ends_what_runs(
    make_service: Callable[..., Service], server: Any, tmp_path: Path
) -> None:
    """Service.stop() fails if a process is left."""
    services = {
        backend: make_service(settings=f'[git]\nbackend = "{backend}"\n')
        for backend in ("cli", "dulwich")
    }

    def ask(backend: str) -> httpx.Response | httpx.HTTPError:
        service = services[backend]
        body = {"url": f"{server.url}/hangs/{backend}.git", "path": str(tmp_path / backend)}
        try:
            with service.client(service.token) as client:
                return client.post("/git/clone", json=body)
        except httpx.HTTPError as error:
            return error

    with ThreadPoolExecutor() as pool:
        responses = [pool.submit(ask, backend) for backend in services]
        for backend, service in services.items():
            path = f"/hangs/{backend}.git/info/refs"
            service.wait_for(lambda path=path: path in dict(server.seen), path)  # type: ignore[misc]
        stopped = [pool.submit(service.stop) for service in services.values()]
        assert [each.result() for each in stopped] == [0, 0]
        for response in responses:
            assert response.result()
    assert not any((tmp_path / backend).exists() for backend in services)


def test_timeout(make_service: Callable[..., Service], server: Any, tmp_path: Path) -> None:
    for backend in ("cli", "dulwich"):
        settings = f'[git]\nbackend = "{backend}"\nnetwork_timeout = 1\n'
        git = GitClient(make_service(settings=settings))
        response = git.post("clone", tmp_path / "clone", url=f"{server.url}/hangs/a.git")
        refused(response, 502, "GIT_TRANSPORT_FAILED")


def test_lock_timeout(make_service: Callable[..., Service], server: Any, tmp_path: Path) -> None:
    """A request that waits too long for another operation is a 409."""
    git = GitClient(make_service(settings="[git]\nlock_timeout = 0.2\n"))
    body = {"url": f"{server.url}/hangs/a.git"}
    first = threading.Thread(target=git.post, args=("clone", tmp_path / "clone"), kwargs=body)
    first.start()
    assert server.asked.wait(60)
    refused(git.post("clone", tmp_path / "clone", **body), 409, "CONFLICT")
    server.stopping.set()
    first.join(60)
