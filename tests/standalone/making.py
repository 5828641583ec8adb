"""The standalone build, made for tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolbox.testing import DEADLINE

TOOLBOX = Path(sys.executable).with_name("toolbox")
MINIMAL = ("files", "fleet", "info", "process", "server")
"""The groups of the profile: see conf/images/minimal."""

ADDED = "guest-1.0-py3-none-any.whl"

by_hand = pytest.mark.by_hand
"""For what CI has no time for: ``tox -e standalone``."""

needs_bwrap = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="needs bwrap (package bubblewrap)"
)


def run(*command: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env={**os.environ, **env}, capture_output=True, text=True, timeout=300
    )


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.005)


def bundle(
    wheels: Path, output: Path, *groups: str, form: str = "standalone", arch: str = ""
) -> str:
    command: list[str | Path] = [
        TOOLBOX,
        "bundle",
        f"--{form}",
        "--wheels",
        wheels,
        "--with",
        wheels / ADDED,
    ]
    command += [f"--arch={arch}"] if arch else []
    done = run(*command, "--groups", ",".join(groups), "-o", output)
    assert done.returncode == 0, done.stderr
    return done.stdout


def plugin(name: str) -> Iterator[tuple[str, str]]:
    """The files of a plugin that does nothing, by their names in an installation."""
    yield f"{name}.py", ""
    info = f"{name}-1.0.dist-info"
    yield f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    yield f"{info}/entry_points.txt", f"[toolbox.plugins]\n{name} = {name}\n"


def size(path: Path) -> int:
    """The bytes of a file or of those in a tree."""
    files = [path] if path.is_file() else [*path.rglob("*")]
    return sum(file.stat().st_size for file in files if file.is_file())


def said(tree: Path, packed: Path) -> str:
    return f"{size(tree) / 1e6:.1f} MB; packed: {size(packed) / 1e6:.1f} MB"


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()]
