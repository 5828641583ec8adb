"""The standalone build: made once, for all tests."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from toolbox.packaging.standalone.base import base_directory

from .making import ADDED
from .making import MINIMAL
from .making import bundle
from .making import plugin

ROOT = Path(__file__).parents[2]
BUSYBOX = Path(shutil.which("busybox") or "/bin/busybox")


@pytest.fixture(scope="session")
def base() -> Path:
    """The base, which tests/standalone/base.py has compiled: tox runs that first."""
    target = base_directory(platform.machine())
    if not target.exists():
        pytest.skip("there is no base of the standalone build: run tests/standalone/base.py")
    return target


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheels of the core and of all plugins, and of one that isn't ours."""
    target = tmp_path_factory.mktemp("dist")
    folders = [ROOT, *(path.parent for path in sorted(ROOT.glob("plugins/*/pyproject.toml")))]
    code = "import build_backend, sys; build_backend.build_wheel(sys.argv[1])"
    for folder in folders:
        # As an installer does, without the second it takes to find out how.
        subprocess.run([sys.executable, "-c", code, target], cwd=folder, check=True, timeout=60)
    with zipfile.ZipFile(target / ADDED, "w") as wheel:
        for name, content in plugin("guest"):
            wheel.writestr(name, content)
        wheel.writestr("guest-1.0.dist-info/RECORD", "")
        wheel.writestr(
            "guest-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
    return target


@pytest.fixture(scope="session")
def tree(base: Path, wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program with all groups, in a place that nobody knew when it was made."""
    assert base.is_dir()
    target = tmp_path_factory.mktemp("made") / "toolbox"
    bundle(wheels, target)
    return target


@pytest.fixture(scope="session")
def program(base: Path, wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The groups of the profile ``minimal`` as a single file."""
    assert base.is_dir()
    target = tmp_path_factory.mktemp("program") / "toolbox"
    bundle(wheels, target, *MINIMAL, form="one-file")
    return target


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A root file system with nothing in it but a user's home."""
    root = tmp_path / "root"
    for name in ("dev", "home/ada", "proc", "tmp", "toolbox"):
        (root / name).mkdir(parents=True)
    return root


@pytest.fixture
def busybox(empty: Path) -> Path:
    """One with a shell and the programs of a static busybox: no libc."""
    if not BUSYBOX.exists() or b"statically linked" not in _file(BUSYBOX):
        pytest.skip("needs a static busybox (Debian package busybox-static)")
    (empty / "bin").mkdir()
    shutil.copy(BUSYBOX, empty / "bin")
    for name in ("cat", "echo", "env", "ls", "sh", "sleep", "stty"):
        (empty / "bin" / name).symlink_to("busybox")
    return empty


def _file(path: Path) -> bytes:
    # A program that needs no loader names none.
    return b"statically linked" if b"/lib64/ld-linux" not in path.read_bytes() else b""
