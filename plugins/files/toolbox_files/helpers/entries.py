"""The entries of a directory, in the order of their names' bytes."""

# ruff: noqa: PTH208

from __future__ import annotations

import operator
import os

_name = operator.attrgetter("name")


def sorted_entries(directory: str | int) -> list[os.DirEntry[str]]:
    """Return the entries of a directory in the order of their names' bytes. Raises OSError."""
    with os.scandir(directory) as entries:
        found = list(entries)
    # ASCII characters sort like their bytes, without encoding each name.
    ascii_only = all(map(str.isascii, map(_name, found)))
    found.sort(key=_name if ascii_only else name_bytes)
    return found


def sorted_names(directory: str) -> list[str]:
    """Return the names in a directory in the order of their bytes. Raises OSError."""
    names = os.listdir(directory)
    names.sort(key=None if "".join(names).isascii() else os.fsencode)
    return names


def name_bytes(entry: os.DirEntry[str]) -> bytes:
    """Return the bytes of the name."""
    return os.fsencode(entry.name)
