"""The entries of open directories."""

from __future__ import annotations

import os

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""Flags of open(2) for a directory that is read."""


def entries_in(directory: int) -> list[os.DirEntry[str]]:
    """Return the entries of an open directory, all at once: it may change meanwhile.

    They ask for the status of a file, once and for all, only if they have to.
    """
    # Not by pathlib, which takes no descriptor.
    with os.scandir(directory) as entries:
        return list(entries)
