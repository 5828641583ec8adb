"""The directory that programs start in if the service's working directory was removed."""

from __future__ import annotations

import os
from pathlib import Path

from toolbox.settings.variables import home_directory


def start_directory(work_dir: Path) -> Path:
    """Return the first of these that can be entered: ``work_dir``, the home directory, ``/``."""
    if _can_be_entered(work_dir):
        return work_dir
    home = home_directory()
    return home if _can_be_entered(home) else Path("/")


def _can_be_entered(directory: Path) -> bool:
    # With the dot only a directory is found.
    return os.access(f"{directory}/.", os.X_OK)
