"""Branches, add, commit, reset and restore by dulwich."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from dulwich.index import ConflictedIndexEntry
from dulwich.objects import Commit
from dulwich.objects import ObjectID
from dulwich.refs import HEADREF
from dulwich.refs import Ref
from dulwich.repo import Repo

from toolbox.errors import BadRequest
from toolbox.errors import Conflict
from toolbox_git.errors import BranchExists
from toolbox_git.errors import BranchNotFound
from toolbox_git.models import CommitRequest
from toolbox_git.models import ResetRequest
from toolbox_git.models import RestoreRequest
from toolbox_git.names import clean_identity
from toolbox_git.names import is_branch_name
from toolbox_git.names import to_bytes
from toolbox_git.names import to_member
from toolbox_git.names import to_text
from toolbox_git.pure import switching
from toolbox_git.pure.worktree import Worktree
from toolbox_git.pure.worktree import commit_at
from toolbox_git.pure.worktree import head_of
from toolbox_git.pure.worktree import resolve

_MERGE_FILES = ("MERGE_HEAD", "MERGE_MSG", "MERGE_MODE", "CHERRY_PICK_HEAD", "REVERT_HEAD")


def reference(branch: str) -> Ref:
    """The full name of a local branch."""
    return Ref(b"refs/heads/" + to_bytes(branch))


def create_branch(repo: Repo, name: str) -> None:
    """Make a branch at HEAD and check it out."""
    if not is_branch_name(name):
        raise BadRequest(f"{name!r} is not a valid branch name")
    wanted = reference(name)
    for other in repo.refs.allkeys():
        if (other + b"/").startswith(wanted + b"/") or wanted.startswith(other + b"/"):
            raise BranchExists(f"a branch {to_text(other[11:])!r} already exists")
    head = head_of(repo)
    if head is None:
        raise BranchNotFound("HEAD has no commit yet")
    repo.refs.set_if_equals(wanted, None, ObjectID(head), message=b"branch: Created from HEAD")
    repo.refs.set_symbolic_ref(HEADREF, wanted)


def delete_branch(repo: Repo, name: str) -> None:
    """Delete a branch that is checked out nowhere."""
    wanted = reference(name)
    if not is_branch_name(name) or wanted not in repo.refs:
        raise BranchNotFound(f"no branch {name!r}")
    common = Path(os.fsdecode(repo.commondir()))
    for head in (common / "HEAD", *common.glob("worktrees/*/HEAD")):
        with contextlib.suppress(OSError):
            if head.read_bytes().strip() == b"ref: " + wanted:
                raise Conflict(f"the branch {name!r} is checked out")
    repo.refs.remove_if_equals(wanted, None)
    (common / "logs" / os.fsdecode(wanted)).unlink(missing_ok=True)
    config = repo.get_config()
    section = (b"branch", to_bytes(name))
    if section in config:
        del config[section]
        config.write_to_path()


def checkout(repo: Repo, name: str) -> None:
    """Check out a local branch, a branch of a remote, or a commit."""
    branch = reference(name) if is_branch_name(name) else None
    if branch and branch not in repo.refs:
        _track(repo, name)
    if branch and branch not in repo.refs:
        branch = None
    commit = repo.refs[branch] if branch else resolve(repo, name)
    tree = Worktree(repo)
    switching.switch(tree, tree.commit_tree(tree.head()), tree.commit_tree(commit))
    if branch:
        repo.refs.set_symbolic_ref(HEADREF, branch)
    else:
        detach(repo, commit)


def detach(repo: Repo, commit: bytes) -> None:
    """Point HEAD itself at a commit."""
    head = Path(os.fsdecode(repo.controldir())) / "HEAD"
    temporary = head.with_name("HEAD.lock")
    with temporary.open("xb") as file:
        file.write(commit + b"\n")
    temporary.replace(head)


def _track(repo: Repo, name: str) -> None:
    """Make the branch ``name`` if exactly one remote has one."""
    ending = b"/" + to_bytes(name)
    remotes = [
        key[len(b"refs/remotes/") : -len(ending)]
        for key in repo.refs.allkeys()
        if key.startswith(b"refs/remotes/") and key.endswith(ending)
    ]
    config = repo.get_config()
    remotes = [remote for remote in remotes if (b"remote", remote) in config]
    if len(remotes) == 1:
        commit = repo.refs[Ref(b"refs/remotes/" + remotes[0] + ending)]
        repo.refs[reference(name)] = commit
        set_upstream(repo, to_bytes(name), remotes[0])


def set_upstream(repo: Repo, branch: bytes, remote: bytes) -> None:
    """Have ``branch`` follow the one of the same name."""
    config = repo.get_config()
    config.set((b"branch", branch), b"remote", remote)
    config.set((b"branch", branch), b"merge", b"refs/heads/" + branch)
    config.write_to_path()


def add(tree: Worktree, files: list[str]) -> None:
    """Stage files and directories, or nothing."""
    members = [to_member(name, Path(os.fsdecode(tree.top))) for name in files]
    paths: set[bytes] = set()
    directories: list[bytes] = []
    for member in members:
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
            for change in tree.changes()
            if any(change.path.startswith(directory) for directory in directories)
        )
    conflicts = {p for p, e in tree.index.items() if isinstance(e, ConflictedIndexEntry)}
    if directories:
        paths.update(p for p in conflicts if any(p.startswith(each) for each in directories))
    for path in sorted(paths):
        tree.stage(path)
    tree.save()


def commit(tree: Worktree, body: CommitRequest) -> str:
    """Commit the index."""
    author, email = clean_identity(body.author), clean_identity(body.email)
    if not author:
        raise BadRequest("the author's name has no usable character")
    switching.refuse_conflicts(tree)
    repo = tree.repo
    head = tree.head()
    merged = [line.strip() for line in _control_file(repo, "MERGE_HEAD").splitlines() if line]
    made = tree.index.commit(repo.object_store)
    before = commit_at(repo, head).tree if head else None
    same = made == before if head else not len(tree.index)
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
    for name in _MERGE_FILES:
        (Path(os.fsdecode(repo.controldir())) / name).unlink(missing_ok=True)
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


def _control_file(repo: Repo, name: str) -> bytes:
    try:
        return (Path(os.fsdecode(repo.controldir())) / name).read_bytes()
    except FileNotFoundError:
        return b""


def reset(repo: Repo, body: ResetRequest) -> None:
    """As ``git reset``."""
    mode = body.mode or "mixed"
    head = head_of(repo)
    target = resolve(repo, body.target) if body.target else head
    if mode == "soft" and not body.files:
        if target and target != head:
            move_head(repo, head, target, b"reset: moving to " + target)
        return
    tree = Worktree(repo)
    new = tree.commit_tree(target)
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
        switching.reset_keep(tree, tree.commit_tree(head), new)
    else:
        switching.reset_index(tree, new)
    if target and target != head:
        move_head(repo, head, target, b"reset: moving to " + target)
    for name in _MERGE_FILES:
        (Path(os.fsdecode(repo.controldir())) / name).unlink(missing_ok=True)


def restore(tree: Worktree, body: RestoreRequest) -> None:
    """As ``git restore``."""
    staged = bool(body.staged)
    worktree = bool(body.worktree) or not staged
    index = {path: entry for path in tree.index if (entry := tree.entry(path))}
    if body.source:
        source = tree.commit_tree(resolve(tree.repo, body.source))
    elif staged:
        source = tree.commit_tree(tree.head())
        worktree = worktree and tree.head() is not None
    else:
        source = index
    paths = _matching(tree, body.files, set(tree.index) | source.keys())
    for path in sorted(paths, reverse=True):
        if worktree and path not in source:
            entry = index.get(path)
            tree.remove(path)
            tree.put_index(path, entry)
    for path in sorted(paths):
        wanted = source.get(path)
        entry = index.get(path)
        intact = wanted == entry and path in tree.index and switching.is_intact(tree, path)
        if worktree and wanted is not None and not intact:
            tree.put(path, *wanted)
        if staged:
            tree.put_index(path, wanted)
        elif wanted != entry:
            tree.put_index(path, entry)
    tree.save()


def _matching(
    tree: Worktree, files: list[str], known: Iterable[bytes], *, strict: bool = True
) -> set[bytes]:
    """Those of ``known`` that are one of ``files`` or below one."""
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
