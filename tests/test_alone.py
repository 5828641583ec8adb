"""Each group stands alone: with the core and its own dependencies, and no other group.

The groups' own tests run once, where everything is installed. These prove what that can't: that
nothing is used which happened to be there.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from build import ProjectBuilder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from uv import find_uv_bin

from toolbox.testing import Service

ROOT = Path(__file__).parent.parent
PLUGINS = sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))
# Backends are named after their group: `fleet-kubernetes` is one of `fleet`.
GROUPS = [name for name in PLUGINS if "-" not in name]

OPERATIONS: dict[str, tuple[str, str, dict[str, Any] | None]] = {
    "agentsandbox": ("GET", "/agentsandbox/v1/metadata", None),
    "checkpoints": ("GET", "/x/checkpoints", None),
    "computeruse": ("GET", "/computeruse/status", None),
    "e2b": ("GET", "/e2b/envs", None),
    "files": ("POST", "/files/folder?path=new&mode=755", None),
    "git": ("POST", "/git/init", {"path": "new"}),
    "info": ("GET", "/system/metrics", None),
    "lsp": ("POST", "/lsp/stop", {"languageId": "python", "pathToProject": "."}),
    "mcp": ("POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
    "metrics": ("GET", "/metrics", None),
    "opentelemetry": ("GET", "/healthz", None),  # It has no operation: a span for each of others'.
    "page": ("GET", "/", None),
    "port": ("GET", "/port", None),
    "process": ("POST", "/process/execute", {"command": "echo"}),
    "swerex": ("GET", "/swerex/is_alive", None),
    "server": ("POST", "/env", {"env": {"A": "1"}}),
    "fleet": ("GET", "/api/sandbox/any", None),
}
"""One of each group that works on every machine: method, path and body."""

IMPORT_ALL = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if not module.name.split(".")[1].endswith(("contract", "testing")):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            if error.name not in sys.argv[2:]:
                raise
"""
"""Contract suites need pytest, which their users have. The further arguments are what may lack."""

STANDS_ON = {"e2b": ("fleet",), "mcp": ("files", "process", "git", "computeruse")}
"""The groups that dialects stand on. Where one is not served, the modules for its backend, which
import it, are not imported.
"""

NEWER = {"compression"}
"""In the standard library of a Python later than the oldest that is served."""

TIME_LIMIT = 240.0


class Alone:
    """An environment with the core and one group, whose source is the clone.

    What the core needs is in a directory that all groups share, so that it is compiled once.
    """

    def __init__(self, group: str, directory: Path, core: Path) -> None:
        self.group = group
        self.directory = directory
        self.python = directory / "venv" / "bin" / "python"
        run(find_uv_bin(), "venv", "--quiet", "--python", sys.executable, str(directory / "venv"))
        (site,) = (directory / "venv").glob("lib/python*/site-packages")
        folder = ROOT / "plugins" / group
        (site / "alone.pth").write_text(f"{core}\n{ROOT}\n{folder}\n")
        ProjectBuilder(folder).metadata_path(site)
        install(site, required(folder))

    def run(self, *arguments: str, **environ: str) -> str:
        """The output of the environment's interpreter."""
        return run(str(self.python), *arguments, cwd=self.directory, **environ)


def install(directory: Path, requirements: list[str]) -> None:
    """Install what others have released."""
    if requirements:
        options = ("--quiet", "--python", sys.executable, "--target", str(directory))
        run(find_uv_bin(), "pip", "install", *options, *requirements)


def run(*command: str, cwd: Path | None = None, **more: str) -> str:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    environ |= more
    done = subprocess.run(
        command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=TIME_LIMIT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def required(folder: Path, extra: str = "") -> list[str]:
    """What a distribution, or an extra of it, declares that it needs beside the core."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    extras = project.get("optional-dependencies", {})
    names = extras.get(extra, []) if extra else project["dependencies"]
    return [name for name in names if not name.startswith("sandbox-toolbox")]


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with what the core needs, and the core's metadata."""
    directory = tmp_path_factory.mktemp("core")
    install(directory, required(ROOT))
    ProjectBuilder(ROOT).metadata_path(directory)
    return directory


@pytest.fixture(scope="module")
def suites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with what contract suites need beside that: the extra ``testing``."""
    directory = tmp_path_factory.mktemp("suites")
    install(directory, required(ROOT, "testing"))
    return directory


@pytest.fixture(scope="module", params=GROUPS)
def alone(request: pytest.FixtureRequest, core: Path) -> Iterator[Alone]:
    directory = Path(tempfile.mkdtemp(prefix="toolbox-test-"))
    try:
        yield Alone(request.param, directory, core)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def test_every_module_can_be_imported(alone: Alone) -> None:
    others = [f"toolbox_{name}" for name in STANDS_ON.get(alone.group, ())]
    alone.run("-W", "error", "-c", IMPORT_ALL, f"toolbox_{alone.group}", *others)


def test_the_document_has_the_group_and_no_other(alone: Alone) -> None:
    document = json.loads(alone.run("-m", "toolbox", "openapi"))
    assert [tag["name"] for tag in document["tags"]] == ["core", alone.group]


def test_a_service_with_the_group_alone_is_ready_and_works(alone: Alone) -> None:
    settings = "[metrics]\nenabled = true\n" if alone.group == "metrics" else ""
    service = Service(alone.directory / "service", settings=settings, python=alone.python)
    try:
        assert service.http.get("/readyz").status_code == 200
        (report,) = service.http.get("/plugins").json()["plugins"]
        assert (report["name"], report["status"]) == (alone.group, "enabled")
        method, path, body = OPERATIONS[alone.group]
        answer = service.http.request(method, path, json=body)
        assert answer.is_success, answer.text
    finally:
        service.stop()
    assert "Traceback" not in service.log()


def test_the_group_s_contract_is_fulfilled_alone(alone: Alone, suites: Path) -> None:
    """By the group's own test of it; the core's extra ``testing`` is all that it needs."""
    folder = ROOT / "plugins" / alone.group
    suite = re.compile(
        rf"^from toolbox_{alone.group}\.contract\S* import \w+Contract$", re.MULTILINE
    )
    tests = [str(file) for file in folder.glob("tests/test_*.py") if suite.search(file.read_text())]
    assert bool(tests) == any(folder.glob("toolbox_*/contract*"))
    if tests:
        options = ("-q", "--noconftest", "-p", "toolbox.testing", "-o", "addopts=")
        alone.run("-m", "pytest", *options, "-c", os.devnull, *tests, PYTHONPATH=str(suites))


@pytest.mark.parametrize("plugin", PLUGINS)
def test_every_import_is_declared(plugin: str) -> None:
    folder = ROOT / "plugins" / plugin
    package = folder / f"toolbox_{plugin.replace('-', '_')}"
    group = f"toolbox_{plugin.partition('-')[0]}"
    declared = {*required(ROOT), *required(folder), *required(folder, "pynput")}
    ours = {"toolbox", package.name, group}
    ours |= {f"toolbox_{name}" for name in STANDS_ON.get(plugin, ())}
    allowed = {*ours, *NEWER, *sys.stdlib_module_names, *modules(declared)}
    suites = allowed | modules(required(ROOT, "testing"))
    for file in package.rglob("*.py"):
        # What stands in `sandbox` is run by the Python of the sandbox, with what that has.
        if "sandbox" not in file.parts:
            is_suite = "contract" in str(file) or file.stem == "testing"
            assert imported(file) <= (suites if is_suite else allowed), file


def imported(file: Path) -> set[str]:
    """The top packages that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def modules(requirements: Iterable[str]) -> set[str]:
    """The top packages of distributions, which are named like them where they aren't installed."""
    names = {canonicalize_name(Requirement(each).name) for each in requirements}
    return names | {
        module
        for module, distributions in packages_distributions().items()
        if names & {canonicalize_name(name) for name in distributions}
    }
