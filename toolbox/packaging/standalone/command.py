"""``toolbox bundle --standalone``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from toolbox.packaging.bundle import distributions
from toolbox.packaging.standalone.assembly import Form
from toolbox.packaging.standalone.assembly import make_standalone
from toolbox.settings import SettingsError


def make_standalone_bundle(options: argparse.Namespace, groups: Sequence[str]) -> None:
    """Write what the command line asks for, and say how large it is. Raises SettingsError."""
    form = Form(options.form)
    if options.python:
        raise SettingsError(f"--python is of no use with --{form.value}: a Python is in there")
    if not options.wheels:
        raise SettingsError(
            f"--{form.value} needs --wheels: pip wheel --wheel-dir dist . ./plugins/*"
        )
    names = distributions(groups)
    make_standalone(names, options.output, options.wheels, options.added, options.arch, form)
    output = Path(options.output)
    files = [output] if output.is_file() else [*output.rglob("*")]
    size = sum(file.lstat().st_size for file in files if file.is_file())
    print(f"{output}: {size / 1e6:.1f} MB")
