"""Walking trees depth first, in the order of the names' bytes.

Symbolic links aren't followed, except at the start; unreadable directories are skipped.
"""

# Importing pathlib would take longer than many searches.
# ruff: noqa: PTH116, PTH208

from __future__ import annotations

import operator
import os
import stat
from collections.abc import Iterator

from toolbox_files.helpers.gitignore import Ignored


def walk(
    root: str, shown: str, skip: frozenset[str], ignored: Ignored | None = None
) -> Iterator[tuple[str, str, str, str]]:
    """Yield every entry at and below ``root``: its path, its shown path, its name and its type.

    The type is ``d``, ``f`` for a regular file, or empty. Directories whose names are in ``skip``
    aren't entered; ``ignored`` entries are omitted.
    """
    try:
        mode = os.stat(root).st_mode
    except (OSError, ValueError):
        return
    yield root, shown, shown.rpartition("/")[2] or shown, _type(mode)
    if not stat.S_ISDIR(mode):
        return
    prefix = "" if shown == "." else shown.rstrip("/") + "/"
    levels = [(prefix, _entries(root), ignored)]
    while levels:
        prefix, entries, ignored = levels[-1]
        for entry in entries:
            name = entry.name
            kind = _entry_type(entry)
            if ignored is not None and ignored(name, kind == "d"):
                continue
            yield entry.path, prefix + name, name, kind
            if kind == "d" and name not in skip:
                below = ignored and ignored.below(name, entry.path)
                levels.append((f"{prefix}{name}/", _entries(entry.path), below))
                break
        else:
            levels.pop()


def _type(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "d"
    return "f" if stat.S_ISREG(mode) else ""


def _entry_type(entry: os.DirEntry[str]) -> str:
    try:
        if entry.is_dir(follow_symlinks=False):
            return "d"
        return "f" if entry.is_file(follow_symlinks=False) else ""
    except OSError:
        return ""  # The directory doesn't hold its type, and it was deleted.


def sorted_entries(directory: str) -> list[os.DirEntry[str]]:
    """Return the entries of a directory in the order of their names' bytes. Raises OSError."""
    with os.scandir(directory) as entries:
        found = list(entries)
    # ASCII characters sort like their bytes, without encoding each name.
    ascii_only = all(map(str.isascii, map(_name, found)))
    found.sort(key=_name if ascii_only else _name_bytes)
    return found


def sorted_names(directory: str) -> list[str]:
    """Return the names in a directory in the order of their bytes. Raises OSError."""
    names = os.listdir(directory)
    names.sort(key=None if "".join(names).isascii() else os.fsencode)
    return names


def _entries(directory: str) -> Iterator[os.DirEntry[str]]:
    try:
        return iter(sorted_entries(directory))
    except OSError:
        return iter(())


_name = operator.attrgetter("name")


def _name_bytes(entry: os.DirEntry[str]) -> bytes:
    return os.fsencode(entry.name)
