"""Which program runs TypeScript: what the sandbox has, else a release of TypeScript that is
known to work.

Not ``ts-node``: it takes whichever TypeScript is the newest, and from 7 on it can use none.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec

from toolbox_process.errors import SpawnFailed

SANDBOX = Path(__file__).parent / "sandbox"
"""Programs run by the sandbox's interpreters."""

PRELOAD = ("--require", str(SANDBOX / "node_preload.cjs"))
"""Arguments for node before those of a program."""

PINNED = "typescript@5.9.3"
"""What npx fetches where nothing else is installed: exactly that, so that no release breaks it."""

_TRANSFORM = "--experimental-transform-types"
_PROBE = f"process.versions.node + ' ' + process.allowedNodeEnvironmentFlags.has('{_TRANSFORM}')"
_STDIN = (22, 18)
"""From this version on node takes TypeScript from its standard input."""


@dataclass(frozen=True)
class Runner:
    """What stands before the file of a program, or before ``-`` if that is read from standard
    input; ``ours`` if it hides that file from the program.
    """

    arguments: tuple[str, ...]
    ours: bool = False
    reads_input: bool = False


class _Package(msgspec.Struct):
    version: str = ""


def find_runner(path: str) -> Runner:
    """The runner for a ``PATH``: TypeScript's own library, tsx, node itself, or what npx fetches.
    Raises SpawnFailed if there is none.
    """
    if (node := shutil.which("node", path=path)) is None:
        raise SpawnFailed("node: not installed")
    compile_ = ("--enable-source-maps", *PRELOAD, str(SANDBOX / "run_typescript.cjs"))
    if library := _find_library(path):
        return Runner((node, *compile_, library), ours=True)
    if found := shutil.which("tsx", path=path):
        return Runner((found, *PRELOAD))
    version = _transforms(node, Path(node).stat().st_mtime_ns)
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
    """The directory of the package ``typescript`` next to ``tsc`` or ``ts-node``, if it can be
    used: 7 is a program, and no library.
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
        described = msgspec.json.decode((package / "package.json").read_bytes(), type=_Package)
    except (OSError, msgspec.DecodeError):
        return 0
    number = described.version.partition(".")[0]
    return int(number) if number.isdigit() else 0


@lru_cache(16)
def _transforms(node: str, changed: int) -> tuple[int, ...]:
    """The version of a node that takes TypeScript itself; empty if it doesn't."""
    probe = [node, "-p", _PROBE]
    done = subprocess.run(probe, check=False, capture_output=True, text=True, cwd="/")
    match = re.fullmatch(r"(\d+)\.(\d+)\S* true", done.stdout.strip())
    return (int(match[1]), int(match[2])) if match else ()
