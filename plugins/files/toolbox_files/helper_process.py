"""Starting the helper programs of :mod:`toolbox_files.helpers`."""

from __future__ import annotations

import sys
from pathlib import Path

_BOOT = """
import importlib, sys, types
package = types.ModuleType("toolbox_files")
package.__path__ = [sys.argv[1]]
sys.modules["toolbox_files"] = package
sys.path += filter(None, [sys.argv[2]])
sys.exit(importlib.import_module(sys.argv[3]).main(sys.argv[4:]))
"""
"""Imports the helper's module without running the package's own, which imports the core."""


def helper_command(module: str, *arguments: str, libraries: str = "") -> list[str]:
    """The command that runs ``main(arguments)`` of ``toolbox_files.helpers.<module>``.

    Isolated from the user's environment and without site-packages: it needs neither. It finds
    what is in the directory ``libraries``, after the standard library.
    """
    options = ["-I", "-S", "-X", "utf8", "-c", _BOOT]
    package = str(Path(__file__).parent)
    return [
        sys.executable,
        *options,
        package,
        libraries,
        f"toolbox_files.helpers.{module}",
        *arguments,
    ]
