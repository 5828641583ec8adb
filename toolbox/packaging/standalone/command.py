"""``toolbox bundle --standalone``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from toolbox.packaging.bundle import distributions
from toolbox.packaging.standalone.assembly import make_standalone
from toolbox.settings import SettingsError


def make_standalone_bundle(options: argparse.Namespace, groups: Sequence[str]) -> None:
    """Write what the command line asks for, and say how large it is. Raises SettingsError."""
    if options.python:
        raise SettingsError(
            "--python is of no use with --standalone, which has a Python of its own"
        )
    if not options.wheels:
        raise SettingsError("--standalone needs --wheels: pip wheel --wheel-dir dist . ./plugins/*")
    names = distributions(groups)
    make_standalone(names, options.output, options.wheels, options.added, options.arch)
    output = Path(options.output)
    files = [output] if output.is_file() else [*output.rglob("*")]
    size = sum(file.lstat().st_size for file in files if file.is_file())
    print(f"{output}: {size / 1e6:.1f} MB")
