"""The service of another commit beside this one: ``python tests/bench --against REV``."""

from __future__ import annotations

import functools
import site
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from bench import frame
from bench import servers

T = TypeVar("T")


@dataclass(frozen=True)
class Other:
    """Another commit, installed."""

    name: str
    """Its short hash."""
    program: str
    """The interpreter that imports its service."""


@contextmanager
def installed(revision: str, repository: Path) -> Iterator[Other]:
    """Install what ``repository`` was at ``revision``; removed afterwards.

    Into a virtual environment of its own, in the way this one was, and with the packages of this
    one for all else: what is compared is our code. Raises SystemExit if there is no such commit, or
    it can't be installed.
    """
    git = ["git", "-C", str(repository)]
    commit = ["--verify", "--short", "--end-of-options", revision + "^{commit}"]
    name = _output([*git, "rev-parse", *commit]).strip()
    with tempfile.TemporaryDirectory(prefix=f"toolbox-bench-{name}-") as directory:
        tree, environment = Path(directory, "tree"), Path(directory, "environment")
        tree.mkdir()
        # No worktree: one would stay in the repository's list if the measurement is killed.
        archive = subprocess.run([*git, "archive", name], check=True, stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", tree], input=archive.stdout, check=True)
        yield Other(name, _install(tree, environment))


def _install(tree: Path, environment: Path) -> str:
    venv.create(environment, symlinks=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    # A line for a directory, whose own .pth files aren't read: those lead to this commit.
    (packages / "others.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    program = str(environment / "bin/python")
    pip = [program, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    _output([*pip, "-r", "requirements.txt"], tree)
    return program


def _output(command: list[str], directory: Path | None = None) -> str:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


def paired(
    function: frame.Function, ours: frame.Bench, theirs: frame.Bench, other: Other
) -> Iterator[frame.Row]:
    """Yield the rows of ``function``, each with the same of the other commit as ``before``."""
    before = _rows(function(theirs), other)
    for row, same in zip(function(ours), before, strict=True):
        yield replace(row, before=(other.name, functools.partial(_within, other, same.ours)))


def _rows(rows: Iterator[frame.Row], other: Other) -> Iterator[frame.Row]:
    # What a row needs is made while the row before is left.
    while row := _within(other, lambda: next(rows, None)):
        yield row


def _within(other: Other, action: Callable[[], T]) -> T:
    """Do it while :func:`bench.servers.toolbox` starts the service of the other commit."""
    token = servers.PROGRAM.set(other.program)
    try:
        return action()
    finally:
        servers.PROGRAM.reset(token)
