"""Comparison of a working tree with the index.

dulwich's own ``status`` scans the whole index for every directory; this takes time in proportion
to the number of files.
"""

# ruff: noqa: PTH113
# Names are bytes here, which pathlib doesn't accept.

from __future__ import annotations

import os
from collections.abc import Iterator

import msgspec
from dulwich.ignore import IgnoreFilterManager
from dulwich.index import ConflictedIndexEntry
from dulwich.index import IndexEntry
from dulwich.objects import S_ISGITLINK

from toolbox_git.dulwich.worktree import Entries
from toolbox_git.dulwich.worktree import Worktree
from toolbox_git.dulwich.worktree import directories_of
from toolbox_git.dulwich.worktree import is_assumed


class Change(msgspec.Struct, frozen=True):
    """A file of the working tree that differs from the index."""

    path: bytes
    kind: str
    """``modified``, ``deleted`` or ``untracked``."""


def changes(tree: Worktree, entries: Entries) -> Iterator[Change]:
    """Yield every file that differs from the index's ``entries``, except ignored ones."""
    seen: set[bytes] = set()
    for path, status in _walk(tree, entries):
        entry = entries.get(path.rstrip(b"/"))
        if entry is None:
            yield Change(path, "untracked")
            continue
        seen.add(path)
        # A file in conflict is reported by its entry, not by its content.
        if not isinstance(entry, IndexEntry) or is_assumed(entry):
            continue
        if not tree.is_clean(path, entry, status):
            yield Change(path, "modified")
    # The usual case: no tracked file was deleted.
    if len(seen) == len(entries):
        return
    for path, entry in entries.items():
        if path not in seen and isinstance(entry, IndexEntry) and not is_assumed(entry):
            yield Change(path, "deleted")


def _walk(tree: Worktree, entries: Entries) -> Iterator[tuple[bytes, os.stat_result]]:
    """Yield every file that is or could be tracked, and every nested repository."""
    ignore = IgnoreFilterManager.from_repo(tree.repo)
    tracked = directories_of(entries)
    # A stack instead of recursion: directories may be nested deeper than Python's limit.
    stack = [b""]
    while stack:
        directory = stack.pop()
        with os.scandir(tree.top + b"/" + directory) as listing:
            for found in listing:
                path = directory + found.name
                if found.name == b".git":
                    continue
                known = entries.get(path)
                if known is not None and not _replaced(known, found):
                    yield path, found.stat(follow_symlinks=False)
                elif not found.is_dir(follow_symlinks=False):
                    if not ignore.is_ignored(os.fsdecode(path)) and _storable(found):
                        yield path, found.stat(follow_symlinks=False)
                elif path in tracked or known is not None:
                    stack.append(path + b"/")
                elif not ignore.is_ignored(os.fsdecode(path) + "/"):
                    # As in git, a nested repository is one entry, whatever it contains.
                    if _is_repository(found.path):
                        yield path + b"/", found.stat(follow_symlinks=False)
                    else:
                        stack.append(path + b"/")


def _storable(entry: os.DirEntry[bytes]) -> bool:
    # Git stores no devices, pipes and sockets.
    return entry.is_symlink() or entry.is_file(follow_symlinks=False)


def _replaced(entry: IndexEntry | ConflictedIndexEntry, found: os.DirEntry[bytes]) -> bool:
    """Report whether a directory stands where the index has a file."""
    if not found.is_dir(follow_symlinks=False):
        return False
    return not (isinstance(entry, IndexEntry) and S_ISGITLINK(entry.mode))


def _is_repository(path: bytes) -> bool:
    return os.path.lexists(path + b"/.git/HEAD") or os.path.isfile(path + b"/.git")
