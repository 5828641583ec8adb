"""Services in surroundings that are short of something, and what becomes of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolbox.testing import Service

READ_ONLY = """
set -e
mount --make-rprivate /
mount --bind "$0" "$0"
mount -o remount,bind,ro /
exec "$@"
"""
"""Run a program where only the directory ``$0`` can be written."""

NAMESPACE = ["unshare", "--mount", *(["--map-root-user"] if os.getuid() else [])]


def read_only_except(directory: Path) -> list[str]:
    """The wrapper of a service that can write below ``directory`` and, on disk, nowhere else."""
    return [*NAMESPACE, "sh", "-c", READ_ONLY, str(directory)]


def needs_namespaces() -> None:
    """Skip where the kernel lets nobody make a mount namespace."""
    if subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode:
        pytest.skip("a mount namespace can't be made; as root it can")


@pytest.fixture(scope="module")
def confined() -> Iterator[Service]:
    """A service that can do what it likes and still harms nothing: the disk is read-only but for
    its own directory, and so it is asked for anything.
    """
    needs_namespaces()
    directory = Path(tempfile.mkdtemp(prefix="toolbox-test-"))
    home = directory / "home"
    home.mkdir()
    env = {"HOME": str(home), "TMPDIR": str(home)}
    running = Service(directory, env=env, wrapper=read_only_except(directory))
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(directory, ignore_errors=True)
