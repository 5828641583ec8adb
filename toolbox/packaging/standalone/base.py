"""The bases that have been compiled, one for each machine and recipe."""

from __future__ import annotations

import hashlib
import platform
import tempfile
from pathlib import Path

from toolbox.packaging.standalone.cache import cache_directory
from toolbox.packaging.standalone.cache import locked
from toolbox.packaging.standalone.compilation import Compilation
from toolbox.packaging.standalone.sources import ARCHITECTURES
from toolbox.settings import SettingsError

HERE = Path(__file__).parent
RECIPE = ("compilation.py", "recipe.py", "cache.py", "sources.py", "static.py", "launcher.c")


def base_directory(machine: str) -> Path:
    """Return the directory of the base for ``machine``, made by this recipe."""
    digest = hashlib.sha256()
    for name in RECIPE:
        digest.update((HERE / name).read_bytes())
    return cache_directory() / f"base-{machine}-{digest.hexdigest()[:12]}"


def find_base(machine: str) -> Path:
    """Return the base for ``machine``, which is compiled if there is none: it takes minutes.

    Raises SettingsError.
    """
    if machine not in ARCHITECTURES:
        raise SettingsError(f"no base for {machine!r}; known are {', '.join(ARCHITECTURES)}")
    target = base_directory(machine)
    # CPython's build runs CPython, which another machine's can't be.
    native = None if machine == platform.machine() else find_base(platform.machine())
    with locked(target.with_suffix(".lock")):
        if not target.exists():
            # As another name first: a base that is there is whole.
            with tempfile.TemporaryDirectory(dir=target.parent, prefix="building-") as name:
                Compilation(machine, Path(name), native).run().rename(target)
    return target
