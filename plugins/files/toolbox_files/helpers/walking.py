"""Walking trees depth first, in the order of the names' bytes.

Symbolic links aren't followed, except at the start; unreadable directories are skipped.
"""

# Importing pathlib would take longer than many searches.
# ruff: noqa: PTH116

from __future__ import annotations

import bisect
import os
import stat
from collections.abc import Iterator

from toolbox.patterns.gitignore import Ignored
from toolbox_files.helpers.entries import name_bytes
from toolbox_files.helpers.entries import sorted_entries


def walk(
    root: str,
    shown: str,
    skip: frozenset[str],
    ignored: Ignored | None = None,
    start: tuple[str, ...] = (),
) -> Iterator[tuple[str, str, str, str]]:
    """Yield every entry at and below ``root``: its path, its shown path, its name and its type.

    The type is ``d``, ``f`` for a regular file, or empty. Directories whose names are in ``skip``
    aren't entered; ``ignored`` entries are omitted. With ``start``, the names of a path below
    ``root`` that need not exist any more, the walk begins there.
    """
    try:
        mode = os.stat(root).st_mode
    except (OSError, ValueError):
        return
    if not start:
        yield root, shown, shown.rpartition("/")[2] or shown, _type(mode)
    if not stat.S_ISDIR(mode):
        return
    prefix = "" if shown == "." else shown.rstrip("/") + "/"
    levels = [(prefix, _entries(root, start), ignored, start)]
    while levels:
        prefix, entries, ignored, start = levels[-1]
        for entry in entries:
            name = entry.name
            kind = _entry_type(entry)
            if ignored is not None and ignored(name, kind == "d"):
                continue
            # Only the first entry of a level can be above the start, which was there before it.
            rest = start[1:] if start and start[0] == name else ()
            if not rest:
                yield entry.path, prefix + name, name, kind
            if kind == "d" and name not in skip:
                below = ignored and ignored.below(name, entry.path)
                levels.append((f"{prefix}{name}/", _entries(entry.path, rest), below, rest))
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


def _entries(directory: str, start: tuple[str, ...]) -> Iterator[os.DirEntry[str]]:
    """Return the entries from the first name of ``start`` on."""
    try:
        entries = sorted_entries(directory)
    except OSError:
        return iter(())
    if start:
        del entries[: bisect.bisect_left(entries, os.fsencode(start[0]), key=name_bytes)]
    return iter(entries)
