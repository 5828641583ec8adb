"""The entries of open directories."""

from __future__ import annotations

import os


def names_in(directory: int) -> list[str]:
    """Return the names in an open directory, all at once: it may change meanwhile."""
    # Not by pathlib, which takes no descriptor.
    with os.scandir(directory) as entries:
        return [entry.name for entry in entries]
