"""The program that runs TypeScript: one that the sandbox has, else a pinned release of TypeScript.

Not ``ts-node``: it takes the newest TypeScript there is, and from 7 on it can use none.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec

from toolbox_process.commands.probing import ask
from toolbox_process.engine.engine import Engine
from toolbox_process.errors import SpawnFailed

SANDBOX = Path(__file__).parent.parent / "sandbox"
"""Programs run by the sandbox's interpreters."""

PRELOAD = ("--require", str(SANDBOX / "node_preload.cjs"))
"""Arguments for node that precede those of a program."""

PINNED = "typescript@5.9.3"
"""The package that npx fetches if nothing else is installed; exact, so that no release breaks it.
"""

_TRANSFORM = "--experimental-transform-types"
_PROBE = f"process.versions.node + ' ' + process.allowedNodeEnvironmentFlags.has('{_TRANSFORM}')"
_STDIN = (22, 18)
"""The first version of node that reads TypeScript from its standard input."""


@dataclass(frozen=True)
class Runner:
    """The arguments that precede the file of a program, or ``-`` if that is read from standard
    input.

    ``ours`` if it hides that file from the program.
    """

    arguments: tuple[str, ...]
    ours: bool = False
    reads_input: bool = False


class _Package(msgspec.Struct):
    version: str = ""


_LARGEST_PACKAGE = 64 * 1024
"""Bytes of a ``package.json`` that are read; typescript's has 4 KB."""


def find_runner(path: str, engine: Engine) -> Runner:
    """Return the runner for a ``PATH``: TypeScript's own library, tsx, node itself, or npx.

    Raises SpawnFailed if there is none.
    """
    if (node := shutil.which("node", path=path)) is None:
        raise SpawnFailed("node: not installed")
    compile_ = ("--enable-source-maps", *PRELOAD, str(SANDBOX / "run_typescript.cjs"))
    if library := _find_library(path):
        return Runner((node, *compile_, library), ours=True)
    if found := shutil.which("tsx", path=path):
        return Runner((found, *PRELOAD))
    version = _transforms(node, Path(node).stat().st_mtime_ns, engine)
    if version:
        arguments = (node, "--no-warnings", _TRANSFORM, *PRELOAD)
        return Runner(arguments, reads_input=version >= _STDIN)
    if (npx := shutil.which("npx", path=path)) is None:
        raise SpawnFailed("npx: not installed")
    fetch = (
        npx,
        "--yes",
        "--loglevel=error",
        "--update-notifier=false",
        f"--package={PINNED}",
        "--",
        "node",
    )
    return Runner((*fetch, *compile_, "-"), ours=True)


def _find_library(path: str) -> str:
    """Return the directory of a usable package ``typescript`` next to ``tsc`` or ``ts-node``, or
    "".

    From version 7 on the package is a program, not a library.
    """
    for name in ("tsc", "ts-node"):
        if found := shutil.which(name, path=path):
            for parent in Path(found).resolve().parents:
                package = parent / "node_modules" / "typescript"
                if 0 < _major(package) < 7:
                    return str(package)
    return ""


def _major(package: Path) -> int:
    try:
        described = msgspec.json.decode(_read(package / "package.json"), type=_Package)
    except (OSError, msgspec.DecodeError):
        return 0
    number = described.version.partition(".")[0]
    return int(number) if number.isascii() and number.isdigit() else 0


def _read(path: Path) -> bytes:
    """Return the beginning of a regular file; empty for a FIFO, which could make us wait."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        return file.read(_LARGEST_PACKAGE) if regular else b""


# A node that was replaced has another modification time: it is asked again.
@lru_cache(16)
def _transforms(node: str, changed: int, engine: Engine) -> tuple[int, ...]:
    """Return the version of a node that runs TypeScript itself; empty if it doesn't."""
    match = re.fullmatch(r"(\d+)\.(\d+)\S* true", ask(engine, (node, "-p", _PROBE)).strip())
    return (int(match[1]), int(match[2])) if match else ()
