"""Updates of the index and working tree from one commit to another, as in git-read-tree(1)."""

from __future__ import annotations

import os
import stat

from dulwich.index import ConflictedIndexEntry
from dulwich.index import IndexEntry
from dulwich.objects import S_ISGITLINK

from toolbox_git.dulwich import writing
from toolbox_git.dulwich.revisions import Files
from toolbox_git.dulwich.worktree import Worktree
from toolbox_git.errors import DirtyWorktree
from toolbox_git.errors import MergeConflict
from toolbox_git.names import to_text


def refuse_conflicts(tree: Worktree) -> None:
    """Raise MergeConflict if a merge has unresolved conflicts."""
    for path, entry in tree.index.items():
        if isinstance(entry, ConflictedIndexEntry):
            raise MergeConflict(f"{to_text(path)} has conflicts; resolve them first")


def switch(tree: Worktree, old: Files, new: Files) -> None:
    """Go from ``old`` to ``new``; changes that don't conflict with that stay.

    Raises DirtyWorktree if some do, before anything is changed.
    """
    refuse_conflicts(tree)
    changed = _differing(old, new)
    # A file that is staged as the new commit has it needs no change (git-read-tree(1), "Two Tree
    # Merge").
    todo = [path for path in changed if tree.entry(path) != new.get(path)]
    leaving = {path for path in todo if path not in new}
    for path in todo:
        entry = tree.entry(path)
        if entry != old.get(path):
            raise _dirty(path)
        if entry is not None:
            _check_clean(tree, path)
        else:
            _check_room(tree, path, leaving, new.get(path))
    _apply(tree, todo, new)


def _differing(old: Files, new: Files) -> list[bytes]:
    return sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))


def _dirty(path: bytes) -> DirtyWorktree:
    return DirtyWorktree(f"your local changes to {to_text(path)} would be overwritten")


def _check_clean(tree: Worktree, path: bytes) -> None:
    entry = tree.index[path]
    status = tree.lstat(path) if writing.leads_inside(tree, path) else None
    assert isinstance(entry, IndexEntry)
    if status is None or S_ISGITLINK(entry.mode):
        return
    if not tree.is_clean(path, entry, status):
        raise _dirty(path)


def _check_room(
    tree: Worktree, path: bytes, leaving: set[bytes], wanted: tuple[int, bytes] | None
) -> None:
    """Raise DirtyWorktree if writing ``path`` would destroy untracked files."""
    slash = path.find(b"/")
    while slash > 0:
        parent = path[:slash]
        status = tree.lstat(parent)
        if status is None:
            return
        if not stat.S_ISDIR(status.st_mode):
            if parent not in leaving:
                raise _dirty(parent)
            return
        slash = path.find(b"/", slash + 1)
    status = tree.lstat(path)
    if status is None:
        return
    if stat.S_ISDIR(status.st_mode):
        # The contents of a submodule's directory stay.
        if wanted is None or not S_ISGITLINK(wanted[0]):
            _check_directory(tree, path, leaving)
    elif not tree.is_ignored(path) and wanted != (
        tree.mode_of(status),
        tree.blob(path, status).id,
    ):
        raise _dirty(path)


def _check_directory(tree: Worktree, path: bytes, leaving: set[bytes]) -> None:
    for directory, _, files in os.walk(tree.top + b"/" + path):
        for name in files:
            inside = os.path.relpath(directory + b"/" + name, tree.top)
            if inside not in leaving:
                raise _dirty(inside)


def _apply(tree: Worktree, paths: list[bytes], new: Files) -> None:
    try:
        # Removals first, and files before their directories: a file may replace a directory.
        for path in sorted(paths, reverse=True):
            if path not in new:
                writing.remove(tree, path)
        for path in paths:
            if path in new and tree.is_left_out(path):
                tree.put_index(path, new[path])
            elif path in new:
                writing.put(tree, path, *new[path])
    finally:
        # Even after an error the index has to match what was written.
        tree.save()


def reset_hard(tree: Worktree, new: Files) -> None:
    """Set index and working tree to ``new``, discarding all changes."""
    known = set(tree.index)
    todo = []
    for path in sorted(known | new.keys()):
        entry = tree.entry(path)
        if entry is None or entry != new.get(path) or not is_intact(tree, path):
            todo.append(path)
    _apply(tree, todo, new)


def is_intact(tree: Worktree, path: bytes) -> bool:
    """Report whether the file exists and matches the index."""
    entry = tree.index[path]
    status = tree.lstat(path) if writing.leads_inside(tree, path) else None
    assert isinstance(entry, IndexEntry)
    if S_ISGITLINK(entry.mode):
        return status is not None
    if status is None:
        return entry.skip_worktree
    return tree.is_clean(path, entry, status)


def reset_merge(tree: Worktree, new: Files) -> None:
    """Discard staged changes and keep unstaged ones.

    Raises DirtyWorktree if a file has both.
    """
    todo = []
    for path in sorted(set(tree.index) | new.keys()):
        if tree.entry(path) == new.get(path):
            continue
        if tree.entry(path) is not None:
            _check_clean(tree, path)
        todo.append(path)
    _apply(tree, todo, new)


def reset_keep(tree: Worktree, old: Files, new: Files) -> None:
    """Go to ``new`` and unstage all changes. Raises DirtyWorktree as :func:`switch`."""
    refuse_conflicts(tree)
    changed = _differing(old, new)
    for path in changed:
        if tree.entry(path) != old.get(path):
            raise _dirty(path)
    switch(tree, old, new)
    reset_index(tree, new)


def reset_index(tree: Worktree, new: Files) -> None:
    """Set the index to ``new``; the working tree stays."""
    for path in set(tree.index) | new.keys():
        tree.put_index(path, new.get(path))
    tree.save()
