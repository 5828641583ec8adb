"""Reset and restore with dulwich."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from dulwich.repo import Repo

from toolbox.errors import BadRequest
from toolbox_git.dulwich import switching
from toolbox_git.dulwich import writing
from toolbox_git.dulwich.committing import forget_merge
from toolbox_git.dulwich.committing import move_head
from toolbox_git.dulwich.revisions import files_of
from toolbox_git.dulwich.revisions import head_of
from toolbox_git.dulwich.revisions import resolve
from toolbox_git.dulwich.worktree import Worktree
from toolbox_git.dulwich.worktree import is_conflict
from toolbox_git.errors import MergeConflict
from toolbox_git.models import ResetRequest
from toolbox_git.models import RestoreRequest
from toolbox_git.names import to_member
from toolbox_git.names import to_text


def reset(repo: Repo, body: ResetRequest) -> None:
    """Reset as ``git reset`` does."""
    mode = body.mode or "mixed"
    head = head_of(repo)
    target = resolve(repo, body.target) if body.target else head
    if mode == "soft" and not body.files:
        if target and target != head:
            move_head(repo, head, target, b"reset: moving to " + target)
        return
    tree = Worktree(repo)
    new = files_of(tree.repo, target)
    if body.files:
        if mode != "mixed":
            raise BadRequest(f"files can't be reset in mode {mode!r}")
        for path in _matching(tree, body.files, set(tree.index) | new.keys(), strict=False):
            tree.put_index(path, new.get(path))
        tree.save()
        return
    if mode == "hard":
        switching.reset_hard(tree, new)
    elif mode == "merge":
        switching.reset_merge(tree, new)
    elif mode == "keep":
        switching.reset_keep(tree, files_of(tree.repo, head), new)
    else:
        switching.reset_index(tree, new)
    # HEAD moves last: an error above leaves it where it was.
    if target and target != head:
        move_head(repo, head, target, b"reset: moving to " + target)
    forget_merge(repo)


def restore(tree: Worktree, body: RestoreRequest) -> None:
    """Restore as ``git restore`` does."""
    staged = bool(body.staged)
    worktree = bool(body.worktree) or not staged
    index = {path: entry for path in tree.index if (entry := tree.entry(path))}
    if body.source:
        source = files_of(tree.repo, resolve(tree.repo, body.source))
    elif staged:
        source = files_of(tree.repo, head_of(tree.repo))
        worktree = worktree and head_of(tree.repo) is not None
    else:
        source = index
    paths = _matching(tree, body.files, set(tree.index) | source.keys())
    conflicts = {path: tree.index[path] for path in paths if is_conflict(tree, path)}
    if conflicts and not staged and not body.source:
        raise MergeConflict(
            f"{to_text(min(conflicts))} has conflicts; specify a source to restore it from"
        )
    # In reverse, so that the files of a directory come before the directory itself.
    for path in sorted(paths, reverse=True):
        if worktree and path not in source:
            entry = index.get(path)
            writing.remove(tree, path)
            tree.put_index(path, entry)
    for path in sorted(paths):
        wanted = source.get(path)
        entry = index.get(path)
        intact = wanted == entry and path in tree.index and switching.is_intact(tree, path)
        if worktree and wanted is not None and not intact:
            writing.put(tree, path, *wanted)
        if staged:
            tree.put_index(path, wanted)
        elif wanted != entry:
            tree.put_index(path, entry)
    # A restored file doesn't resolve its conflict, as in git: only "add" does.
    if not staged:
        for path, conflict in conflicts.items():
            tree.index[path] = conflict
    tree.save()


def _matching(
    tree: Worktree, files: list[str], known: Iterable[bytes], *, strict: bool = True
) -> set[bytes]:
    """Return the paths in ``known`` that are one of ``files`` or below one.

    Raises BadRequest if ``strict`` and one of ``files`` matches none.
    """
    found: set[bytes] = set()
    known = list(known)
    for name in files:
        member = to_member(name, Path(os.fsdecode(tree.top)))
        below = b"" if member == b"." else member + b"/"
        matching = {path for path in known if path == member or path.startswith(below)}
        if strict and not matching:
            raise BadRequest(f"{name!r} did not match any file known to git")
        found |= matching
    return found
