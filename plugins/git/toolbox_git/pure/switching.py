"""Moving index and working tree from one commit to another, as git-read-tree(1) says."""

from __future__ import annotations

import os
import stat

from dulwich.index import ConflictedIndexEntry
from dulwich.index import IndexEntry
from dulwich.objects import S_ISGITLINK

from toolbox_git.errors import DirtyWorktree
from toolbox_git.errors import MergeConflict
from toolbox_git.names import to_text
from toolbox_git.pure import writing
from toolbox_git.pure.revisions import Files
from toolbox_git.pure.worktree import Worktree


def refuse_conflicts(tree: Worktree) -> None:
    """Raises MergeConflict if a merge has conflicts left."""
    for path, entry in tree.index.items():
        if isinstance(entry, ConflictedIndexEntry):
            raise MergeConflict(f"{to_text(path)} has conflicts; resolve them first")


def switch(tree: Worktree, old: Files, new: Files) -> None:
    """Go from ``old`` to ``new``; changes that are not in the way stay.

    Raises DirtyWorktree, before anything is changed, if some are.
    """
    refuse_conflicts(tree)
    changed = _differing(old, new)
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
    """Raises DirtyWorktree if what is not tracked would be lost for ``path``."""
    place = path.find(b"/")
    while place > 0:
        parent = path[:place]
        status = tree.lstat(parent)
        if status is None:
            return
        if not stat.S_ISDIR(status.st_mode):
            if parent not in leaving:
                raise _dirty(parent)
            return
        place = path.find(b"/", place + 1)
    status = tree.lstat(path)
    if status is None:
        return
    if stat.S_ISDIR(status.st_mode):
        # What a submodule's directory holds stays there.
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
        for path in sorted(paths, reverse=True):
            if path not in new:
                writing.remove(tree, path)
        for path in paths:
            if path in new and tree.is_left_out(path):
                tree.put_index(path, new[path])
            elif path in new:
                writing.put(tree, path, *new[path])
    finally:
        tree.save()


def reset_hard(tree: Worktree, new: Files) -> None:
    """Make index and working tree as ``new``, whatever they hold."""
    known = set(tree.index)
    todo = []
    for path in sorted(known | new.keys()):
        entry = tree.entry(path)
        if entry is None or entry != new.get(path) or not is_intact(tree, path):
            todo.append(path)
    _apply(tree, todo, new)


def is_intact(tree: Worktree, path: bytes) -> bool:
    """Whether the file is there and as the index has it."""
    entry = tree.index[path]
    status = tree.lstat(path) if writing.leads_inside(tree, path) else None
    assert isinstance(entry, IndexEntry)
    if S_ISGITLINK(entry.mode):
        return status is not None
    if status is None:
        return entry.skip_worktree
    return tree.is_clean(path, entry, status)


def reset_merge(tree: Worktree, new: Files) -> None:
    """Drop what is staged; what is changed but not staged stays.

    Raises DirtyWorktree if a file is both staged and changed further.
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
    """Go to ``new`` and unstage everything. Raises DirtyWorktree as :func:`switch`."""
    refuse_conflicts(tree)
    changed = _differing(old, new)
    for path in changed:
        if tree.entry(path) != old.get(path):
            raise _dirty(path)
    switch(tree, old, new)
    reset_index(tree, new)


def reset_index(tree: Worktree, new: Files) -> None:
    """Make the index as ``new``; files stay as they are."""
    for path in set(tree.index) | new.keys():
        tree.put_index(path, new.get(path))
    tree.save()
