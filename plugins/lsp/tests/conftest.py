"""Services with language servers on PATH, and projects to use them on."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import NoReturn

import httpx
import pytest

from toolbox.linux.procfs import is_alive
from toolbox.testing import Service

TOY = Path(__file__).with_name("toy_server.py")
# typescript-language-server drives tsserver, which TypeScript 7 no longer has.
NPM = {"typescript": "5.9.3", "typescript-language-server": "5.3.0"}


class Project:
    """A project of a service, and the operations on it; each returns the answer."""

    def __init__(self, service: Service, language: str, path: str) -> None:
        self.service = service
        self.language = language
        self.path = path
        self.directory = service.work_dir / path

    def write(self, name: str, text: str) -> str:
        """Write a file; its URI as the SDKs make it."""
        file = self.directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return f"file://{self.path}/{name}"

    def call(self, operation: str, **arguments: Any) -> httpx.Response:
        """POST ``operation`` for this project."""
        return self.service.http.post(operation, json={**self.server, **arguments})

    def get(self, operation: str, **arguments: Any) -> httpx.Response:
        """GET ``operation`` for this project."""
        return self.service.http.get(operation, params={**self.server, **arguments})

    def start(self) -> httpx.Response:
        self.directory.mkdir(parents=True, exist_ok=True)
        return self.call("/lsp/start")

    def stop(self) -> httpx.Response:
        return self.call("/lsp/stop")

    def complete(self, uri: str, line: int = 0, character: int = 0) -> httpx.Response:
        position = {"line": line, "character": character}
        return self.call("/lsp/completions", uri=uri, position=position)

    def symbols(self, uri: str) -> httpx.Response:
        return self.get("/lsp/document-symbols", uri=uri)

    @property
    def server(self) -> dict[str, str]:
        return {"languageId": self.language, "pathToProject": self.path}


class Part(Project):
    """A directory within a project; its files are the project's."""

    def __init__(self, project: Project, name: str) -> None:
        super().__init__(project.service, project.language, project.path)
        self.name = name
        self.directory = project.directory / name

    def write(self, name: str, text: str) -> str:
        super().write(name, text)
        return f"file://{self.path}/{self.name}/{name}"


class Toy(Project):
    """A project in the language ``toy``."""

    @property
    def journal(self) -> Path:
        return self.service.work_dir.parent / "journal"

    def received(self) -> list[dict[str, Any]]:
        """Return the messages that all its servers have received, with their pids."""
        text = self.journal.read_text()
        return [json.loads(line) for line in text.splitlines(keepends=True) if line[-1] == "\n"]

    def pids(self) -> list[int]:
        return [entry["pid"] for entry in self.received() if "pid" in entry]

    def methods(self) -> list[str]:
        return [entry["method"] for entry in self.received() if "method" in entry]

    def wait_for(self, method: str) -> None:
        """Wait until a server has received ``method``."""
        self.service.wait_for(lambda: self.journal.exists() and method in self.methods(), method)

    def alive(self) -> list[int]:
        """Return the pids that are alive of all that it has started."""
        return [pid for pid in self.pids() if is_alive(pid)]


@pytest.fixture
def make_toy(make_service: Callable[..., Service]) -> Callable[..., Toy]:
    """Start a service whose language ``toy`` has a server of some modes: ``make_toy(*modes)``.

    ``options`` are lines of the section ``[lsp]``, ``more`` of the server's own.
    """

    def make(*modes: str, options: str = "", more: str = "", **others: Any) -> Toy:
        settings = f"[lsp]\n{options}\n[lsp.servers.toy]\nextensions = ['.toy']\n{more}\n"
        # The journal's directory is known only once the service is there: it is relative to the
        # project, in which the server runs.
        command = [sys.executable, str(TOY), "../../journal", *modes]
        settings += f"command = {json.dumps(command)}\n"
        toy = Toy(make_service(settings=settings, **others), "toy", "project")
        toy.directory.mkdir()
        return toy

    return make


@pytest.fixture(scope="module")
def servers(node_modules: Path) -> Iterator[Service]:
    """A service with pylsp and typescript-language-server."""
    directory = Path(tempfile.mkdtemp(prefix="toolbox-lsp-"))
    programs = [str(node_modules / ".bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    # Real servers are slow to start on a busy machine.
    settings = "[lsp]\nrequest_timeout = 50"
    running = Service(directory, settings=settings, env={"PATH": ":".join(programs)})
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def make_project(servers: Service) -> Iterator[Callable[[str, str], Project]]:
    """Projects of ``servers``: ``make_project(language, path)``. Their servers are stopped."""
    made: list[Project] = []

    def make(language: str, path: str) -> Project:
        made.append(Project(servers, language, path))
        return made[-1]

    yield make
    for each in made:
        assert each.stop().status_code == 200


@pytest.fixture
def pyright(make_service: Callable[..., Service], node_modules: Path) -> Project:
    """A project that pyright serves."""
    command = [str(Path(sys.executable).with_name("pyright-langserver")), "--stdio"]
    settings = f"[lsp]\nrequest_timeout = 50\n[lsp.servers.python]\ncommand = {command}\n"
    project = Project(make_service(settings=settings), "python", "project")
    assert project.start().status_code == 200
    return project


@pytest.fixture
def shared(servers: Service, request: pytest.FixtureRequest) -> Callable[[str], Project]:
    """A directory of the test's own in one project for each language: ``shared(language)``.

    Its server has been started, and stays: to start one takes longer than most tests.
    """

    def make(language: str) -> Project:
        project = Project(servers, language, f"shared-{language}")
        assert project.start().status_code == 200
        test: str = request.function.__name__
        return Part(project, test)

    return make


@pytest.fixture(scope="session")
def node_modules(pytestconfig: pytest.Config) -> Path:
    """``node_modules`` with typescript-language-server, made once and kept in pytest's cache."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            skip(f"{program} is not installed (Debian and Ubuntu: packages nodejs and npm)")
    assert pytestconfig.cache is not None
    directory = pytestconfig.cache.mkdir("typescript-" + "-".join(NPM.values()))
    with (directory / "lock").open("w") as lock:
        # Several test runs may share the cache.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "installed").exists():
            install(directory)
            (directory / "installed").touch()
    return directory / "node_modules"


def install(directory: Path) -> None:
    """Install the packages, and nothing that would run code while they are installed."""
    (directory / "package.json").write_text(json.dumps({"dependencies": NPM, "private": True}))
    command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=300)
    if done.returncode:
        skip(f"npm can't install typescript-language-server: {done.stderr.strip()}")


def skip(reason: str) -> NoReturn:
    """Skip on a developer's machine; in CI nothing is skipped."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
