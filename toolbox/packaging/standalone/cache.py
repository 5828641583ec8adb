"""The directory where compilers and compiled bases are kept."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolbox.settings import SettingsError

ZIG = "ziglang==0.17.1"


def cache_directory() -> Path:
    """Return the directory of everything that is kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "toolbox"


def find_zig() -> Path:
    """Return the compiler, which is installed into the cache if it is not there.

    Raises SettingsError.
    """
    target = cache_directory() / ZIG
    program = target / "ziglang" / "zig"
    with locked(target.with_name(f"{ZIG}.lock")):
        if not program.exists():
            pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-compile")
            done = subprocess.run([*pip, "--target", target, ZIG], capture_output=True, text=True)
            if done.returncode:
                raise SettingsError(f"pip: {done.stderr.strip()[-2000:]}")
    return program


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of this name: two builds may ask for the same thing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
