"""Making directories."""

from __future__ import annotations

import stat
from pathlib import Path

from toolbox.atomic.writing import errors_of
from toolbox.atomic.writing import make_directory


def make_folder(path: Path, mode: int) -> None:
    """Make a directory and its missing parents; an existing one keeps its mode. Raises OSError."""
    # An existing directory keeps its mode.
    existed = path.is_dir()
    with errors_of(path):
        make_directory(path, mode)
    if not existed and mode & (stat.S_ISUID | stat.S_ISGID):
        # mkdir(2) ignores these two.
        path.chmod(stat.S_IMODE(path.stat().st_mode) | mode & 0o7000)
