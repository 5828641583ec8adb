"""Listing a directory, some levels deep."""

from __future__ import annotations

from pathlib import Path

from toolbox_files.fileinfo import make_info
from toolbox_files.helpers.walking import sorted_entries
from toolbox_files.models import FileInfo
from toolbox_files.names import absolute
from toolbox_files.names import to_text


def list_directory(path: Path, depth: int) -> list[FileInfo]:
    """The entries of ``path`` down to ``depth`` levels, each directory before what is in it.

    Sorted by the bytes of the names. Entries that can't be examined (dangling links, links in a
    circle, files that vanish meanwhile) and directories below ``path`` that can't be read are left
    out; linked directories aren't entered. Raises OSError if ``path`` itself can't be read.
    """
    found: list[FileInfo] = []
    # A stack, not recursion: directories nest deeper than Python's stack is.
    open_levels = [(absolute(path).rstrip("/"), iter(sorted_entries(str(path))))]
    while open_levels:
        shown, entries = open_levels[-1]
        for entry in entries:
            name = to_text(entry.name)
            try:
                found.append(make_info(name, f"{shown}/{name}", entry.stat()))
                if len(open_levels) == depth or not entry.is_dir(follow_symlinks=False):
                    continue
                below = iter(sorted_entries(entry.path))
            except OSError:
                continue
            open_levels.append((f"{shown}/{name}", below))
            break
        else:
            open_levels.pop()
    return found
