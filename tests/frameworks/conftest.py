"""Frameworks that work in sandboxes of Daytona, unmodified, on sandboxes of this machine.

Each Python framework has an environment of its own, made by uv from its file in ``requirements``;
those for Node.js share one, made by npm from ``package.json``. The environments are kept in
pytest's cache. A program of ``programs`` runs in one of them as a separate process, which finds the
control plane by ``DAYTONA_API_URL`` as its users' programs do, and prints what it got as JSON.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import NoReturn

import pytest

from toolbox.testing import TOKEN
from toolbox.testing import Service

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
REQUIREMENTS = HERE / "requirements"
PACKAGES = HERE / "package.json"
PAGE = HERE.parent.parent / "docs" / "dialects.rst"

SETTINGS = """
[fleet]
backend = "local"

[fleet.local]
data = "{data}"
on_stop = "stop"
"""

TIMEOUT = 240
"""Seconds for a program: the longest runs a hundred tests of its framework's own."""
INSTALLATION = 600
"""Seconds to install an environment."""

Program = Callable[..., Any]


@pytest.fixture(scope="module")
def fleet() -> Iterator[Service]:
    """A service that creates sandboxes on this machine."""
    directory = Path(tempfile.mkdtemp(prefix="toolbox-test-"))
    running = Service(directory, settings=SETTINGS.format(data=directory / "fleet"))
    try:
        yield running
    finally:
        for sandbox in sandboxes(running):
            running.http.delete(f"/api/sandbox/{sandbox['id']}")
        running.wait_for(lambda: not sandboxes(running), "the end of the sandboxes")
        running.stop()
        shutil.rmtree(directory, ignore_errors=True)


def sandboxes(fleet: Service) -> list[dict[str, Any]]:
    """Return all sandboxes of a service."""
    found: list[dict[str, Any]] = fleet.http.get("/api/sandbox").json()["items"]
    return found


@pytest.fixture
def python(fleet: Service, pytestconfig: pytest.Config, tmp_path: Path) -> Program:
    """Run a Python program: ``python("adk")`` runs ``with_adk.py`` and needs ``adk.txt``.

    ``package`` is the name of that file if it is another, ``variables`` are added to the
    environment.
    """

    def run(
        name: str, *, interpreter: str = sys.executable, package: str = "", **variables: str
    ) -> Any:
        command = python_command(pytestconfig, name, interpreter, package)
        return output(command, fleet, tmp_path, **variables)

    return run


@pytest.fixture
def client(runtime: Service, pytestconfig: pytest.Config, tmp_path: Path) -> Program:
    """Run a Python program that is no client of a control plane: it gets ``variables``."""

    def run(name: str, variables: dict[str, str]) -> Any:
        return output(python_command(pytestconfig, name), runtime, tmp_path, **variables)

    return run


@pytest.fixture
def first_lines(pytestconfig: pytest.Config, tmp_path: Path) -> Program:
    """Run the program that the page on dialects has under a title, and return what it prints.

    It gets ``variables`` and runs in the environment of ``package``. Where it has ``port`` it gets
    the service's.
    """

    def run(title: str, package: str, service: Service, port: int = 0, **variables: str) -> str:
        text = shown(title, "python")
        if port:
            assert str(port) in text
            text = text.replace(str(port), str(service.port))
        program = tmp_path / "first_lines.py"
        program.write_text(text)
        python = python_command(pytestconfig, package)[0]
        return printed([python, program], service, tmp_path, TOOLBOX_TOKEN=TOKEN, **variables)

    return run


def shown(title: str, language: str) -> str:
    """Return the first code block in a language under a title of the page on dialects."""
    section = PAGE.read_text().partition(f"\n{title}\n{'=' * len(title)}\n")[2]
    found = re.search(rf"\.\. code-block:: {language}\n\n((?:   .*\n|\n)+)", section)
    assert found, f"{PAGE}: nothing under {title}"
    return textwrap.dedent(found[1])


def shell_words(title: str, command: str) -> tuple[dict[str, str], list[str]]:
    """Return the variables and the arguments of a command under a title of the page on dialects."""
    (line,) = re.findall(rf"(?m)^\$ (.*\b{command}\b.*)$", shown(title, "console"))
    words = shlex.split(line)
    variables = dict(word.split("=", 1) for word in words if "=" in word)
    return variables, [word for word in words if "=" not in word and word not in command.split()]


def python_command(
    config: pytest.Config, name: str, interpreter: str = sys.executable, package: str = ""
) -> list[Any]:
    """Return the command that runs a program in its environment, which is made first."""
    package = package or name
    with Kept(config, package, REQUIREMENTS / f"{package}.txt", interpreter) as directory:
        if not (directory / "installed").exists():
            install_python(directory, package, interpreter)
    return [directory / "bin" / "python", PROGRAMS / f"with_{name}.py"]


@pytest.fixture
def node(fleet: Service, pytestconfig: pytest.Config, tmp_path: Path) -> Program:
    """Run a program for Node.js: ``node("mastra")`` runs ``with_mastra.mjs``."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            skip(f"{program} is not installed (Debian and Ubuntu: packages nodejs and npm)")

    def run(name: str, **variables: str) -> Any:
        with Kept(pytestconfig, "node", PACKAGES) as directory:
            if not (directory / "installed").exists():
                install_node(directory)
        # Node.js looks for packages beside the program.
        program = directory / f"{name}.mjs"
        shutil.copyfile(PROGRAMS / f"with_{name}.mjs", program)
        return output(["node", program], fleet, tmp_path, **variables)

    return run


class Kept:
    """The cached directory of an environment, locked: test runs may share the cache."""

    def __init__(
        self, config: pytest.Config, name: str, requirements: Path, interpreter: str = ""
    ) -> None:
        assert config.cache is not None
        content = requirements.read_bytes() + interpreter.encode()
        digest = hashlib.sha256(content).hexdigest()[:12]
        self.directory = config.cache.mkdir(f"framework-{name}-{digest}")

    def __enter__(self) -> Path:
        self._lock = (self.directory / "lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self.directory

    def __exit__(self, *_: object) -> None:
        self._lock.close()


def install_python(directory: Path, name: str, interpreter: str) -> None:
    """Make a virtual environment in ``directory`` with what ``requirements/<name>.txt`` lists."""
    uv = [sys.executable, "-m", "uv"]
    run_installer([*uv, "venv", "-q", "--allow-existing", "-p", interpreter, str(directory)])
    target = ["-p", str(directory / "bin" / "python")]
    install = [*uv, "pip", "install", "-q", *target]
    run_installer([*install, "-r", f"{REQUIREMENTS / name}.txt"])
    # Of what they require most is not imported, and is hundreds of megabytes.
    alone = REQUIREMENTS / f"{name}-alone.txt"
    if alone.exists():
        run_installer([*install, "--no-deps", "-r", str(alone)])
    (directory / "installed").touch()


def install_node(directory: Path, packages: Path = PACKAGES) -> None:
    """Install what ``package.json`` lists, and nothing that would run code meanwhile."""
    shutil.copyfile(packages, directory / "package.json")
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    run_installer(["npm", "install", *options], cwd=directory)
    (directory / "installed").touch()


def run_installer(command: list[str], cwd: Path | None = None) -> None:
    """Run a package manager, or skip the test if it can't be reached."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=INSTALLATION)
    if done.returncode:
        skip(f"{' '.join(command[:3])} failed: {done.stderr.strip()}")


def output(command: list[Any], fleet: Service, directory: Path, **variables: str) -> Any:
    """Run a program against a service and return what it printed, as JSON."""
    return json.loads(printed(command, fleet, directory, **variables).splitlines()[-1])


def printed(command: list[Any], fleet: Service, directory: Path, **variables: str) -> str:
    """Run a program against a service and return what it printed."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "DAYTONA_API_KEY": TOKEN,
        "DAYTONA_API_URL": f"{fleet.url}/api",
        "DAYTONA_TARGET": "local",
        # For clients of other protocols.
        "MCP_URL": f"{fleet.url}/mcp",
        **variables,
    }
    done = subprocess.run(
        [str(word) for word in command],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{fleet.log()[-5000:]}"
    return done.stdout


def skip(reason: str) -> NoReturn:
    """Skip where somebody works on the project; nothing is skipped where it is integrated."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
