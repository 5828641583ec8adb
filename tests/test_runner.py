"""The test runner itself: it ends whatever tests do, and doesn't depend on how it was started."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from toolbox.testing import DEADLINE
from toolbox.testing import end_tree

CONFTEST = Path(__file__).parents[1] / "conftest.py"

HANGS_AFTERWARDS = """
import threading
import pytest

@pytest.fixture
def waits_for_ever():
    yield
    threading.Event().wait()

def test_that_fails(waits_for_ever):
    assert False

def test_that_passes():
    pass
"""

LEAVES_A_THREAD = """
import threading

def test_that_leaves_a_thread():
    def waits_for_ever():
        threading.Event().wait()
    threading.Thread(target=waits_for_ever).start()
"""

STARTS_A_PROGRAM = """
import re
from toolbox.processes import popen

def test_programs_ignore_nothing(tmp_path):
    out = tmp_path / "out"
    with out.open("w") as file:
        popen(["cat", "/proc/self/status"], stdout=file).wait()
    ignored = int(re.search(r"SigIgn:\\s*(\\w+)", out.read_text())[1], 16)
    assert not ignored & 0b111, f"{ignored:b}"
"""


def run(
    directory: Path, source: str, *arguments: str, before: str = "", timeout: int = 5
) -> tuple[int, str]:
    """Run a test file with our ``conftest.py``; return the exit status and the output."""
    shutil.copy(CONFTEST, directory)
    (directory / "test_it.py").write_text(source)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    command.append(f"--timeout={timeout}")
    process = subprocess.Popen(
        ["sh", "-c", f'{before} exec "$@"', "sh", *command],
        cwd=directory,
        env=environ,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        output, _ = process.communicate(timeout=2 * DEADLINE)
    finally:
        end_tree(process)
    return process.returncode, output


def test_a_fixture_that_hangs_after_a_failure_is_named(tmp_path: Path) -> None:
    status, output = run(tmp_path, HANGS_AFTERWARDS, "-n", "1")
    assert status == 1, output
    assert "crashed while running 'test_it.py::test_that_fails'" in output
    assert "in waits_for_ever" in output
    assert "1 passed" in output


def test_a_thread_that_does_not_end_is_shown(tmp_path: Path) -> None:
    status, output = run(tmp_path, LEAVES_A_THREAD)
    assert status == 1, output
    assert "1 passed" in output
    assert "in waits_for_ever" in output


@pytest.mark.parametrize("workers", [[], ["-n", "1"]])
def test_programs_are_started_as_by_a_service(tmp_path: Path, workers: list[str]) -> None:
    before = "trap '' HUP INT QUIT;"
    status, output = run(tmp_path, STARTS_A_PROGRAM, *workers, before=before, timeout=60)
    assert status == 0, output
