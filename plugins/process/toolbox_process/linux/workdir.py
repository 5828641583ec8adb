"""The directory that programs start in if the service's working directory was removed."""

from __future__ import annotations

import os
from pathlib import Path

from toolbox.settings.variables import home_directory


def start_directory(work_dir: Path) -> Path:
    """Return the first of these that can be entered: ``work_dir``, the home directory, ``/``."""
    for directory in (work_dir, home_directory()):
        if directory.is_dir() and os.access(directory, os.X_OK):
            return directory
    return Path("/")
