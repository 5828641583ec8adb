"""The command lines of groups' helper programs."""

from __future__ import annotations

import sys
from pathlib import Path

import toolbox

_BOOT = """
import sys
for name, path in zip((sys.argv[1].partition(".")[0], "toolbox"), sys.argv[2:4]):
    package = sys.modules[name] = type(sys)(name)
    package.__path__ = [path]
sys.path += filter(None, [sys.argv[4]])
sys.exit(__import__(sys.argv[1], fromlist=["main"]).main(sys.argv[5:]))
"""
"""Program that imports a helper without running ``__init__`` of the packages above it, which import
a lot. Nor does it import importlib and types: a twentieth of Python's start.
"""


def helper_command(module: str, *arguments: str, libraries: str = "") -> list[str]:
    """Return the command that runs ``main(arguments)`` of a module of a group that is imported.

    Python runs isolated from the user's environment and without site-packages: the helpers need
    neither. Modules in the directory ``libraries`` are found after the standard library.
    """
    # -I: no PYTHON* variables, no user site, no current directory (python(1)).
    options = ["-I", "-S", "-X", "utf8", "-c", _BOOT]
    group = sys.modules[module.partition(".")[0]]
    return [
        sys.executable,
        *options,
        module,
        group.__path__[0],
        str(Path(toolbox.__file__).parent),
        libraries,
        *arguments,
    ]
