"""Helpers for tests of this group and of its backends: what becomes of processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from toolbox.testing import DEADLINE


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def eventually(
    condition: Callable[[], object], what: str = "it", deadline: float = DEADLINE
) -> None:
    """Wait until ``condition()`` is true."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen in time"
        time.sleep(0.01)


def read_pid(file: Path) -> int:
    """The pid a command has written to ``file``, which may take a moment."""
    eventually(lambda: file.exists() and file.read_text().endswith("\n"), f"{file.name}")
    return int(file.read_text())


def open_files(pid: int) -> int:
    """How many file descriptors the process has."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
