"""Where programs start although the service's working directory is gone."""

from __future__ import annotations

import os
from pathlib import Path

from toolbox.variables import home_directory

NOTE = "X-Toolbox-Note"
"""The header that tells what an answer's body has no room for, in words."""


def start_directory(work_dir: Path) -> Path:
    """The first of these that a program can start in: ``work_dir``, the home directory, ``/``."""
    for directory in (work_dir, home_directory()):
        if directory.is_dir() and os.access(directory, os.X_OK):
            return directory
    return Path("/")


def note_of(work_dir: Path, started: Path) -> dict[str, str]:
    """The header that tells of another directory than ``work_dir``, if it is one."""
    if started == work_dir:
        return {}
    text = f"no working directory {work_dir}: started in {started}"
    # A header has no line ends (RFC 9110, 5.5), and nothing but ASCII is understood by all.
    return {NOTE: text.encode("unicode_escape").decode("ascii")}
