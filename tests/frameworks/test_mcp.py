"""Clients of the Model Context Protocol, unmodified."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolbox.testing import Service

from .conftest import HERE
from .conftest import PROGRAMS
from .conftest import REQUIREMENTS
from .conftest import Kept
from .conftest import install_node
from .conftest import install_python
from .conftest import output
from .conftest import skip

PACKAGES = HERE / "mcp" / "package.json"

Program = Callable[[str], Any]


@pytest.fixture
def python(service: Service, pytestconfig: pytest.Config, tmp_path: Path) -> Program:
    """Run a Python program against a service; both clients share an environment."""

    def run(name: str) -> Any:
        with Kept(pytestconfig, "mcp", REQUIREMENTS / "mcp.txt", sys.executable) as directory:
            if not (directory / "installed").exists():
                install_python(directory, "mcp", sys.executable)
        program = PROGRAMS / f"with_{name}.py"
        return output([directory / "bin" / "python", program], service, tmp_path)

    return run


@pytest.fixture
def node(service: Service, pytestconfig: pytest.Config, tmp_path: Path) -> Program:
    """Run a program for Node.js against a service."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            skip(f"{program} is not installed (Debian and Ubuntu: packages nodejs and npm)")

    def run(name: str) -> Any:
        with Kept(pytestconfig, "node-mcp", PACKAGES) as directory:
            if not (directory / "installed").exists():
                install_node(directory, PACKAGES)
        # Node.js looks for packages beside the program.
        program = directory / f"{name}.mjs"
        shutil.copyfile(PROGRAMS / f"with_{name}.mjs", program)
        return output(["node", program], service, tmp_path)

    return run


def test_mcp_in_both_revisions(python: Program, service: Service) -> None:
    got = python("mcp")
    assert [got[mode]["version"] for mode in ("auto", "legacy")] == ["2026-07-28", "2025-11-25"]
    for mode, found in got.items():
        assert {"read_text_file", "edit_file", "run_command", "kill"} <= set(found["tools"])
        assert found["head"] == {"text": "one\n", "structured": None, "failed": False}
        assert "-two\n+2\n" in found["tried"]["text"]
        assert found["tried"] == found["edited"]
        assert found["read"]["text"] == "one\n2\nthree\n"
        assert found["listed"]["text"] == "[FILE] notes.txt"
        (entry,) = found["listed"]["structured"]["entries"]
        assert entry == {"name": "notes.txt", "type": "file", "size": 12}
        assert found["found"]["structured"]["files"] == [f"{mode}/notes.txt"]
        assert found["missing"]["failed"]
        assert "file not found" in found["missing"]["text"]
        assert found["wrong"]["failed"]
        assert "$.head" in found["wrong"]["text"]
        run = found["run"]["structured"]
        assert (run["output"], run["exitCode"]) == (f"{service.directory}/work\n", 3)
        assert found["reported"]
        assert found["reported"] == sorted(found["reported"])
        assert found["output"]["structured"]["output"] == "hello\nbye\n"
        assert found["output"]["structured"]["exitCode"] == 0
        assert "[the text is there]" in found["waited"]["text"]
        assert len(found["waited"]["structured"]["rows"]) == 10
        assert found["ended"]["structured"]["done"] is True
        uri = f"file://{service.directory}/work/{mode}.txt"
        assert found["resource"] == [uri, "a resource"]
        assert found["templates"] == ["file:///{+path}"]


def test_fastmcp(python: Program) -> None:
    got = python("fastmcp")
    assert "directory_tree" in got["tools"]
    assert got["read"] == "fast"
    assert got["run"] == [4, "out\n"]
    assert "file not found" in got["error"]


def test_typescript(node: Program) -> None:
    got = node("mcp")
    assert (got["version"], got["server"]) == ("2025-11-25", "sandbox-toolbox")
    assert "search_files" in got["tools"]
    assert got["read"] == "node"
    assert got["run"] == [5, "out\n"]
    assert got["reported"]
    assert got["missing"] is True
    assert "AbortError" in got["canceled"]
    assert got["ended"] == "ended\n"
    assert got["errors"] == []


def test_the_first_lines_of_the_page(service: Service, first_lines: Callable[..., str]) -> None:
    printed = first_lines("Model Context Protocol", "mcp", service, 2280)
    assert printed.splitlines()[0] == "hello"
