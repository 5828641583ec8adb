"""Starting the helper programs of :mod:`toolbox_files.helpers`."""

from __future__ import annotations

import sys
from pathlib import Path

import toolbox

_BOOT = """
import importlib, sys, types
for name, path in zip(("toolbox_files", "toolbox"), sys.argv[1:3]):
    package = sys.modules[name] = types.ModuleType(name)
    package.__path__ = [path]
sys.path += filter(None, [sys.argv[3]])
sys.exit(importlib.import_module(sys.argv[4]).main(sys.argv[5:]))
"""
"""Imports the helper's module without running the packages' own, which import a lot."""


def helper_command(module: str, *arguments: str, libraries: str = "") -> list[str]:
    """The command that runs ``main(arguments)`` of ``toolbox_files.helpers.<module>``.

    Isolated from the user's environment and without site-packages: it needs neither. It finds
    what is in the directory ``libraries``, after the standard library.
    """
    options = ["-I", "-S", "-X", "utf8", "-c", _BOOT]
    return [
        sys.executable,
        *options,
        str(Path(__file__).parent),
        str(Path(toolbox.__file__).parent),
        libraries,
        f"toolbox_files.helpers.{module}",
        *arguments,
    ]
