"""The assembly: the base, the wheels of some groups, compiled modules; in seconds."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from toolbox.packaging.standalone.base import find_base
from toolbox.packaging.standalone.forms.archive import is_archive
from toolbox.packaging.standalone.forms.archive import write_archive
from toolbox.packaging.standalone.forms.debian import write_package
from toolbox.packaging.standalone.forms.normalization import normalize
from toolbox.packaging.standalone.forms.onefile import write_program
from toolbox.packaging.standalone.pruning import prune
from toolbox.packaging.standalone.pruning import strip
from toolbox.packaging.standalone.recipe import PYTHON
from toolbox.settings import SettingsError

WHERE = "/toolbox"
"""The directory that tracebacks name: they are written before anybody knows it."""

CERTIFICATES = {"sandbox-toolbox-git": "certifi"}
"""Packages of certificate authorities, for images that have none, by the group that uses them."""

PROGRAMS = ("toolbox_process/sandbox/*.py", "toolbox_process/matching/program.py")
"""Modules that are run as files, some by the image's Python, of whatever version. All others are
there in compiled form only: a traceback names their lines, and does not show them.
"""


class Form(Enum):
    """The forms that a tree is written in."""

    TREE = "standalone"
    """A directory or, if the output is named so, an archive."""
    PROGRAM = "one-file"
    PACKAGE = "deb"


CUSTOMIZE = '''\
"""Find plugins in the directories of TOOLBOX_PLUGINS: packages, or wheels of Python modules."""

import os
import sys

for directory in filter(None, os.environ.get("TOOLBOX_PLUGINS", "").split(os.pathsep)):
    if os.path.isdir(directory):
        wheels = sorted(name for name in os.listdir(directory) if name.endswith(".whl"))
        sys.path += [directory, *(os.path.join(directory, name) for name in wheels)]
'''


def make_standalone(
    names: Sequence[str], output: str, wheels: str, added: Sequence[str], machine: str, form: Form
) -> None:
    """Write a tree, named ``toolbox`` where its form has a name for it.

    It has the distributions ``names``, whose wheels are in the directory ``wheels``, and the wheels
    ``added``, for ``machine`` ("x86_64", "aarch64"). What they depend on comes from that directory
    or the index that pip is configured with. Raises SettingsError.
    """
    target = Path(output)
    if target.is_dir() or (target.exists() and form is Form.TREE and not is_archive(target)):
        raise SettingsError(f"{output} exists")
    files = [_wheel(Path(wheels), name) for name in names] + list(map(_existing, added))
    requirements = [
        *map(str, files),
        *(CERTIFICATES[name] for name in names if name in CERTIFICATES),
    ]
    base = find_base(machine)
    with tempfile.TemporaryDirectory(dir=target.absolute().parent, prefix=".toolbox-") as work:
        tree = Path(work) / "toolbox"
        # The interpreter as a library is half of it, and not for a service.
        unused = shutil.ignore_patterns("config-*", "static")
        shutil.copytree(base, tree, symlinks=True, ignore=unused)
        library = tree / "lib" / f"python{PYTHON}"
        packages = library / "site-packages"
        _install(requirements, Path(wheels), packages, machine)
        (packages / "sitecustomize.py").write_text(CUSTOMIZE)
        prune(library, packages)
        strip(tree, packages, machine)
        _compile(tree, library, packages)
        normalize(tree)
        if form is Form.PACKAGE:
            write_package(tree, target, machine)
        elif form is Form.PROGRAM:
            write_program(tree, target, base, machine)
        elif is_archive(target):
            write_archive(tree, target)
        else:
            tree.rename(target)


def _wheel(directory: Path, name: str) -> Path:
    found = sorted(directory.glob(f"{name.replace('-', '_')}-*.whl"))
    if len(found) != 1:
        raise SettingsError(f"{directory} has {len(found)} wheels of {name}")
    return found[0].absolute()


def _existing(name: str) -> Path:
    if not Path(name).is_file():
        raise SettingsError(f"{name}: no such wheel")
    return Path(name).absolute()


def _install(requirements: Sequence[str], wheels: Path, packages: Path, machine: str) -> None:
    """Install our wheels, as files and not by name, and what they depend on."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
    command += [
        "--target",
        str(packages),
        "--find-links",
        str(wheels),
        "--only-binary=:all:",
    ]
    command += ["--implementation=cp", f"--python-version={PYTHON}"]
    # PEP 656: by the version of musl that a wheel needs at least. The base has 1.2.
    command += [f"--platform=musllinux_1_{minor}_{machine}" for minor in (2, 1)]
    done = subprocess.run([*command, *requirements], capture_output=True, text=True)
    if done.returncode:
        raise SettingsError(f"pip: {done.stderr.strip()[-2000:]}")


def _compile(tree: Path, library: Path, packages: Path) -> None:
    """Compile every module, and remove its source unless it is run as a file."""
    kept = {path for pattern in PROGRAMS for path in packages.glob(pattern)}
    files = [path for path in sorted(library.rglob("*.py")) if path not in kept]
    # Without time stamps, which an image's layers may change, and never checked again.
    options = ["-q", "--invalidation-mode=unchecked-hash", "-s", str(tree), "-p", WHERE]
    for level, chosen in (
        # Of Python's own modules nobody reads the documentation, a sixth of them.
        ("2", [path for path in files if not path.is_relative_to(packages)]),
        ("0", [path for path in files if path.is_relative_to(packages)]),
    ):
        # -b: beside the source, from where modules are imported without it.
        _compileall("-b", "-o", level, *options, "-i", "-", stdin="\n".join(map(str, chosen)))
    for path in files:
        if path.with_suffix(".pyc").exists():
            path.unlink()


def _compileall(*options: str, stdin: str = "") -> None:
    python = find_base(platform.machine()) / "bin" / "python3"
    # Columns are of use only where a traceback shows the line: a twentieth of the modules.
    command = [str(python), "-X", "no_debug_ranges", "-m", "compileall", *options]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True)
    if done.returncode:
        raise SettingsError(f"compileall: {(done.stdout + done.stderr).strip()[-2000:]}")
