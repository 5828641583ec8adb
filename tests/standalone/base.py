"""Compile the base of the standalone build, once for each recipe.

This is run as a program ahead of the tests, of which each has a limit of time.
"""

from __future__ import annotations

import os
import platform
import sys

from toolbox.packaging.standalone.base import base_directory
from toolbox.packaging.standalone.base import find_base
from toolbox.settings import SettingsError


def main() -> None:
    """Compile it for this machine; what it takes is Debian's, and may be missing elsewhere."""
    machine = platform.machine()
    if not base_directory(machine).exists():
        print("compiling the base of the standalone build: minutes, but once only", flush=True)
    try:
        find_base(machine)
    except SettingsError as error:
        if os.environ.get("CI"):
            sys.exit(str(error))
        print(f"tests of the standalone build will be skipped: {error}")


if __name__ == "__main__":
    main()
