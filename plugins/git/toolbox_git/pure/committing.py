"""Add and commit by dulwich."""

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
from toolbox_git.models import CommitRequest
from toolbox_git.names import clean_identity
from toolbox_git.names import to_member
from toolbox_git.names import to_text
from toolbox_git.pure import switching
from toolbox_git.pure.changes import changes
from toolbox_git.pure.revisions import commit_at
from toolbox_git.pure.revisions import head_of
from toolbox_git.pure.worktree import GITLINK
from toolbox_git.pure.worktree import Worktree
from toolbox_git.pure.worktree import is_intended
from toolbox_git.pure.worktree import parents_of

_MERGE_FILES = ("MERGE_HEAD", "MERGE_MSG", "MERGE_MODE", "CHERRY_PICK_HEAD", "REVERT_HEAD")


def add(tree: Worktree, files: list[str]) -> None:
    """Stage files and directories, or nothing."""
    members = [to_member(name, Path(os.fsdecode(tree.top))) for name in files]
    paths: set[bytes] = set()
    directories: list[bytes] = []
    for member in members:
        _check_place(tree, member)
        full = Path(os.fsdecode(tree.top + b"/" + member))
        below = member + b"/"
        if full.is_dir() and not full.is_symlink() and not (full / ".git").exists():
            directories.append(b"" if member == b"." else below)
        elif member == b".":
            directories.append(b"")
        elif os.path.lexists(full) or member in tree.index:
            paths.add(member)
        elif known := [path for path in tree.index if path.startswith(below)]:
            paths.update(known)
        else:
            raise BadRequest(f"{to_text(member)} did not match any file")
    for directory in directories:
        if directory and tree.is_ignored(directory):
            raise BadRequest(f"{to_text(directory)} is ignored")
    if directories:
        paths.update(
            change.path.rstrip(b"/")
            for change in changes(tree, tree.look()[0])
            if any(change.path.startswith(directory) for directory in directories)
        )
    conflicts = {p for p, e in tree.index.items() if isinstance(e, ConflictedIndexEntry)}
    if directories:
        paths.update(p for p in conflicts if any(p.startswith(each) for each in directories))
    for path in sorted(paths):
        tree.stage(path)
    tree.save()


def _check_place(tree: Worktree, member: bytes) -> None:
    """Raises BadRequest for what is in a submodule, or behind a link."""
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
    made = commit_tree(repo.object_store, staged)
    before = commit_at(repo, head).tree if head else None
    same = made == before if head else not staged
    if same and not merged and not body.allow_empty:
        raise Conflict("nothing is staged to commit")
    new = Commit()
    new.tree = made
    new.parents = [ObjectID(parent) for parent in ([head] if head else []) + merged]
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
    """Set what HEAD stands for. Raises Conflict if it has been changed meanwhile."""
    moved = repo.refs.set_if_equals(
        HEADREF,
        ObjectID(old) if old else None,
        ObjectID(new),
        message=message,
    )
    if not moved:
        raise Conflict("another program has moved HEAD")


def forget_merge(repo: Repo) -> None:
    """Remove what tells that a merge, cherry-pick or revert is under way."""
    for name in _MERGE_FILES:
        (Path(os.fsdecode(repo.controldir())) / name).unlink(missing_ok=True)


def _control_file(repo: Repo, name: str) -> bytes:
    try:
        return (Path(os.fsdecode(repo.controldir())) / name).read_bytes()
    except FileNotFoundError:
        return b""
