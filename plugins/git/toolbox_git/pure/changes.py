"""Which files of a working tree aren't as the index has them.

dulwich's own ``status`` looks through the whole index for every directory; this takes time in
proportion to the number of files.
"""

# ruff: noqa: PTH113
# Names are bytes here, which pathlib doesn't take.

from __future__ import annotations

import os
from collections.abc import Iterator

import msgspec
from dulwich.ignore import IgnoreFilterManager
from dulwich.index import ConflictedIndexEntry
from dulwich.index import IndexEntry
from dulwich.objects import S_ISGITLINK

from toolbox_git.pure.worktree import Entries
from toolbox_git.pure.worktree import Worktree
from toolbox_git.pure.worktree import directories_of
from toolbox_git.pure.worktree import is_assumed


class Change(msgspec.Struct, frozen=True):
    """A file of the working tree that isn't as the index has it."""

    path: bytes
    kind: str
    """``modified``, ``deleted`` or ``untracked``."""


def changes(tree: Worktree, entries: Entries) -> Iterator[Change]:
    """Every file that isn't as the index has it in ``entries``; ignored ones are left out."""
    seen: set[bytes] = set()
    for path, status in _walk(tree, entries):
        entry = entries.get(path.rstrip(b"/"))
        if entry is None:
            yield Change(path, "untracked")
            continue
        seen.add(path)
        if not isinstance(entry, IndexEntry) or is_assumed(entry):
            continue
        if not tree.is_clean(path, entry, status):
            yield Change(path, "modified")
    if len(seen) == len(entries):
        return
    for path, entry in entries.items():
        if path not in seen and isinstance(entry, IndexEntry) and not is_assumed(entry):
            yield Change(path, "deleted")


def _walk(tree: Worktree, entries: Entries) -> Iterator[tuple[bytes, os.stat_result]]:
    """Every file that is tracked or could be, and every repository within this one."""
    ignore = IgnoreFilterManager.from_repo(tree.repo)
    tracked = directories_of(entries)
    stack = [b""]
    while stack:
        directory = stack.pop()
        with os.scandir(tree.top + b"/" + directory) as listing:
            for each in listing:
                path = directory + each.name
                if each.name == b".git":
                    continue
                known = entries.get(path)
                if known is not None and not _replaced(known, each):
                    yield path, each.stat(follow_symlinks=False)
                elif not each.is_dir(follow_symlinks=False):
                    if not ignore.is_ignored(os.fsdecode(path)) and _storable(each):
                        yield path, each.stat(follow_symlinks=False)
                elif path in tracked or known is not None:
                    stack.append(path + b"/")
                elif not ignore.is_ignored(os.fsdecode(path) + "/"):
                    if _is_repository(each.path):
                        yield path + b"/", each.stat(follow_symlinks=False)
                    else:
                        stack.append(path + b"/")


def _storable(each: os.DirEntry[bytes]) -> bool:
    return each.is_symlink() or each.is_file(follow_symlinks=False)


def _replaced(entry: IndexEntry | ConflictedIndexEntry, found: os.DirEntry[bytes]) -> bool:
    """Whether a directory is where the index has a file."""
    if not found.is_dir(follow_symlinks=False):
        return False
    return not (isinstance(entry, IndexEntry) and S_ISGITLINK(entry.mode))


def _is_repository(path: bytes) -> bool:
    return os.path.lexists(path + b"/.git/HEAD") or os.path.isfile(path + b"/.git")
