"""Add and commit with dulwich."""

from __future__ import annotations

import os
import time
from datetime import datetime
from pathlib import Path

from dulwich.index import ConflictedIndexEntry
from dulwich.index import IndexEntry
from dulwich.index import commit_tree
from dulwich.objects import Commit
from dulwich.objects import ObjectID
from dulwich.refs import HEADREF
from dulwich.repo import Repo

from toolbox.errors import BadRequest
from toolbox.errors import Conflict
from toolbox_git.dulwich import switching
from toolbox_git.dulwich.changes import changes
from toolbox_git.dulwich.revisions import commit_at
from toolbox_git.dulwich.revisions import head_of
from toolbox_git.dulwich.worktree import GITLINK
from toolbox_git.dulwich.worktree import Worktree
from toolbox_git.dulwich.worktree import is_intended
from toolbox_git.dulwich.worktree import parents_of
from toolbox_git.models import CommitRequest
from toolbox_git.names import clean_identity
from toolbox_git.names import to_member
from toolbox_git.names import to_text

_MERGE_FILES = ("MERGE_HEAD", "MERGE_MSG", "MERGE_MODE", "CHERRY_PICK_HEAD", "REVERT_HEAD")


def add(tree: Worktree, files: list[str]) -> None:
    """Stage all of the files and directories, or none of them."""
    # All names are checked before anything is staged.
    members = [to_member(name, Path(os.fsdecode(tree.top))) for name in files]
    directories = []
    paths: set[bytes] = set()
    for member in members:
        _check_parents(tree, member)
        if _is_plain_directory(tree, member):
            directories.append(b"" if member == b"." else member + b"/")
        else:
            paths.update(_named(tree, member))
    for directory in directories:
        if directory and tree.is_ignored(directory):
            raise BadRequest(f"{to_text(directory)} is ignored")
    if directories:
        paths |= _changed_below(tree, directories)
    for path in sorted(paths):
        tree.stage(path)
    tree.save()


def _is_plain_directory(tree: Worktree, member: bytes) -> bool:
    """Report whether ``member`` is a directory, but not a nested repository."""
    if member == b".":
        return True
    full = Path(os.fsdecode(tree.top + b"/" + member))
    return full.is_dir() and not full.is_symlink() and not (full / ".git").exists()


def _named(tree: Worktree, member: bytes) -> list[bytes]:
    """Return the paths to stage for a name that isn't a directory. Raises BadRequest."""
    if os.path.lexists(tree.top + b"/" + member) or member in tree.index:
        return [member]
    # A directory whose files are tracked but were all deleted.
    if known := [path for path in tree.index if path.startswith(member + b"/")]:
        return known
    raise BadRequest(f"{to_text(member)} did not match any file")


def _changed_below(tree: Worktree, directories: list[bytes]) -> set[bytes]:
    """Return the changed and conflicting paths below ``directories``, which end with a slash."""
    found = {change.path.rstrip(b"/") for change in changes(tree, tree.snapshot()[0])}
    found |= {p for p, entry in tree.index.items() if isinstance(entry, ConflictedIndexEntry)}
    return {path for path in found if path.startswith(tuple(directories))}


def _check_parents(tree: Worktree, member: bytes) -> None:
    """Raise BadRequest if ``member`` is in a submodule or beyond a symbolic link."""
    for parent in parents_of(member):
        entry = tree.entry(parent)
        full = Path(os.fsdecode(tree.top + b"/" + parent))
        if (entry and entry[0] == GITLINK) or (full / ".git").exists():
            raise BadRequest(f"{to_text(member)} is in the submodule {to_text(parent)}")
        if full.is_symlink():
            raise BadRequest(f"{to_text(member)} is beyond a symbolic link")


def commit(tree: Worktree, body: CommitRequest) -> str:
    """Commit the index."""
    author, email = clean_identity(body.author), clean_identity(body.email)
    if not author:
        raise BadRequest("the author's name has no usable character")
    switching.refuse_conflicts(tree)
    repo = tree.repo
    head = head_of(tree.repo)
    merged = [line.strip() for line in _control_file(repo, "MERGE_HEAD").splitlines() if line]
    staged = [
        (path, entry.sha, entry.mode)
        for path, entry in tree.index.items()
        if isinstance(entry, IndexEntry) and not is_intended(entry)
    ]
    new_tree = commit_tree(repo.object_store, staged)
    old_tree = commit_at(repo, head).tree if head else None
    same = new_tree == old_tree if head else not staged
    # A merge is recorded even if it changes no file.
    if same and not merged and not body.allow_empty:
        raise Conflict("nothing is staged to commit")
    new = Commit()
    new.tree = new_tree
    new.parents = [ObjectID(parent) for parent in ([head] if head else []) + merged]
    # The committer is the author, as in the backend cli.
    new.author = new.committer = f"{author} <{email}>".encode()
    new.author_time = new.commit_time = int(time.time())
    offset = datetime.now().astimezone().utcoffset()
    new.author_timezone = new.commit_timezone = int(offset.total_seconds()) if offset else 0
    new.message = body.message.encode()
    repo.object_store.add_object(new)
    subject = body.message.partition("\n")[0].encode()
    move_head(repo, head, new.id, b"commit: " + subject)
    forget_merge(repo)
    return new.id.decode("ascii")


def move_head(repo: Repo, old: bytes | None, new: bytes, message: bytes) -> None:
    """Move HEAD, or its branch, to ``new``. Raises Conflict if it is no longer at ``old``."""
    moved = repo.refs.set_if_equals(
        HEADREF,
        ObjectID(old) if old else None,
        ObjectID(new),
        message=message,
    )
    if not moved:
        raise Conflict("another program has moved HEAD")


def forget_merge(repo: Repo) -> None:
    """Remove the files that mark a merge, cherry-pick or revert in progress."""
    for name in _MERGE_FILES:
        (Path(os.fsdecode(repo.controldir())) / name).unlink(missing_ok=True)


def _control_file(repo: Repo, name: str) -> bytes:
    try:
        return (Path(os.fsdecode(repo.controldir())) / name).read_bytes()
    except FileNotFoundError:
        return b""
