"""Frameworks in Python."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from typing import Any

from toolbox.testing import Service

from .conftest import sandboxes
from .conftest import skip

Program = Callable[..., Any]
LANGCHAIN_DISAGREES = {
    "test_glob",
    "test_glob_basic_pattern",
    "test_glob_hidden_files_explicitly",
    "test_glob_with_character_class",
    "test_glob_with_directories",
    "test_glob_with_question_mark",
    "test_write_existing_file_fails",
}
"""Tests of langchain-tests that deepagents 0.7.32 fails anywhere: it returns absolute paths of
matches where they expect relative ones, and writes over a file where they expect a refusal.
"""
PYTHONS = ["python3.12", "python3.13", "python3.14"]


def test_langchain(python: Program, fleet: Service) -> None:
    """The standard tests of langchain for a sandbox pass, but those that its provider can't."""
    outcomes = python("langchain")
    assert set(outcomes["others"]) == LANGCHAIN_DISAGREES, outcomes["others"]
    assert outcomes["passed"] > 75
    assert sandboxes(fleet) == []


def test_adk(python: Program, fleet: Service) -> None:
    got = python("adk")
    assert got["python"] == {"result": "['a b'] given\n", "exit_code": 0}
    assert got["javascript"] == {"result": "42\n", "exit_code": 0}
    assert got["command"] == {"result": "/usr\n", "exit_code": 3}
    assert got["uploaded"] == {"success": True, "path": "/tmp/adk/a.txt"}
    assert got["read"] == {"content": "hällo\n", "path": "/tmp/adk/a.txt"}
    assert "not found" in got["missing"]["error"]
    assert (got["long"]["output"], got["long"]["exit_code"]) == ("done\n", 0)
    assert len(got["tools"]) == 5
    fleet.wait_for(lambda: sandboxes(fleet) == [], "the deletion")


def test_pydantic_ai(python: Program, fleet: Service) -> None:
    got = python("pydantic_ai")
    written, read, listed, ran, late, much = got["owned"]
    assert "notes/a.txt" in written
    assert "one\ntwo" in read
    assert "a.txt" in listed
    assert all(word in ran for word in ("2\n", "given", "bad", "3"))
    assert "begun" in late and "timed out" in late
    assert "100000" in much and "truncated" in much
    assert got["attached"] == [True, True]
    assert sandboxes(fleet) == []


def test_openai_agents(python: Program, fleet: Service) -> None:
    got = python("openai_agents")
    assert got["exec"] == ["given\n/home/daytona/workspace\n", "bad\n", 3]
    assert got["listed"] == ["a.bin"]
    assert [got[what] for what in ("read", "pty", "page", "running", "kept")] == [True] * 5
    fleet.wait_for(lambda: sandboxes(fleet) == [], "the deletion")


def test_harbor(python: Program, fleet: Service) -> None:
    """A trial's environment from the name of a snapshot: no image can be had or built."""
    got = python("harbor", interpreter=newer_python())
    assert got["exec"] == ["/tmp/app\nb c\n", "bad\n", 3]
    assert got["late"] == 124
    assert (got["files"], got["kinds"]) == (True, [True, True])
    assert "harbor.session_id" in got["labels"]
    fleet.wait_for(lambda: sandboxes(fleet) == [], "the deletion")


def newer_python() -> str:
    """Return a Python for Harbor, which wants 3.12, while this project is happy with 3.11."""
    found = [path for name in PYTHONS if (path := shutil.which(name))]
    pyenv = shutil.which("pyenv")
    if pyenv:
        # What it puts on the PATH fails for versions that aren't switched on.
        root = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=True).stdout
        found = [f"{root.strip()}/versions/{version}/bin/python" for version in _versions(pyenv)]
    if not found:
        skip("Harbor wants Python 3.12 or newer, which is not installed")
    return found[0]


def _versions(pyenv: str) -> list[str]:
    done = subprocess.run([pyenv, "versions", "--bare"], capture_output=True, text=True, check=True)
    newer = [line.strip() for line in done.stdout.splitlines() if line.strip() > "3.12"]
    return [version for version in newer if version.startswith(("3.12.", "3.13.", "3.14."))]
