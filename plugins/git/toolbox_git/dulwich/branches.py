"""Branches with dulwich: create, delete, check out, track."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from dulwich.objects import ObjectID
from dulwich.refs import HEADREF
from dulwich.refs import Ref
from dulwich.repo import Repo

from toolbox.errors import BadRequest
from toolbox.errors import Conflict
from toolbox_git.dulwich import switching
from toolbox_git.dulwich.revisions import files_of
from toolbox_git.dulwich.revisions import head_of
from toolbox_git.dulwich.revisions import resolve
from toolbox_git.dulwich.worktree import Worktree
from toolbox_git.errors import BranchExists
from toolbox_git.errors import BranchNotFound
from toolbox_git.names import is_branch_name
from toolbox_git.names import to_bytes
from toolbox_git.names import to_text


def reference(branch: str) -> Ref:
    """Return the full name of a local branch."""
    return Ref(b"refs/heads/" + to_bytes(branch))


def create_branch(repo: Repo, name: str) -> None:
    """Create a branch at HEAD and check it out."""
    if not is_branch_name(name):
        raise BadRequest(f"{name!r} is not a valid branch name")
    wanted = reference(name)
    # A loose reference is a file: "a" and "a/b" can't both exist.
    for other in repo.refs.allkeys():
        if (other + b"/").startswith(wanted + b"/") or wanted.startswith(other + b"/"):
            raise BranchExists(f"a branch {to_text(other[11:])!r} already exists")
    head = head_of(repo)
    if head is None:
        raise BranchNotFound("HEAD has no commit yet")
    repo.refs.set_if_equals(wanted, None, ObjectID(head), message=b"branch: Created from HEAD")
    repo.refs.set_symbolic_ref(HEADREF, wanted)


def delete_branch(repo: Repo, name: str) -> None:
    """Delete a branch, its reflog and its configuration. Raises Conflict if it is checked out."""
    wanted = reference(name)
    if not is_branch_name(name) or wanted not in repo.refs:
        raise BranchNotFound(f"no branch {name!r}")
    if _heads_on(repo, wanted):
        raise Conflict(f"the branch {name!r} is checked out")
    common = Path(os.fsdecode(repo.commondir()))
    # As "git branch -D" does, with the reflog and the configuration, which dulwich leaves.
    repo.refs.remove_if_equals(wanted, None)
    (common / "logs" / os.fsdecode(wanted)).unlink(missing_ok=True)
    config = repo.get_config()
    section = (b"branch", to_bytes(name))
    if section in config:
        del config[section]
        config.write_to_path()


def _heads_on(repo: Repo, branch: Ref) -> list[Path]:
    """Return the HEAD file of each working tree that has ``branch`` checked out."""
    common = Path(os.fsdecode(repo.commondir()))
    found = []
    for head in (common / "HEAD", *common.glob("worktrees/*/HEAD")):
        with contextlib.suppress(OSError):
            if head.read_bytes().strip() == b"ref: " + branch:
                found.append(head)
    return found


def _refuse_held(repo: Repo, branch: Ref) -> None:
    """Raise Conflict if another working tree has ``branch`` checked out."""
    mine = (Path(os.fsdecode(repo.controldir())) / "HEAD").resolve()
    for head in _heads_on(repo, branch):
        # As in git, a working tree whose directory was removed holds nothing.
        link = head.with_name("gitdir")
        removed = link.is_file() and not Path(os.fsdecode(link.read_bytes().strip())).exists()
        if head.resolve() != mine and not removed and not _is_bare(repo, head):
            name = to_text(branch.removeprefix(b"refs/heads/"))
            raise Conflict(f"the branch {name!r} is checked out in another working tree")


def _is_bare(repo: Repo, head: Path) -> bool:
    """Report whether ``head`` belongs to a bare repository, which has no working tree."""
    main = head.parent == Path(os.fsdecode(repo.commondir()))
    return main and bool(repo.get_config().get_boolean((b"core",), b"bare", False))


def checkout(repo: Repo, name: str) -> None:
    """Check out a local branch, a branch of a remote, or a commit."""
    branch = reference(name) if is_branch_name(name) else None
    if branch and branch not in repo.refs:
        _track(repo, name)
    if branch and branch not in repo.refs:
        branch = None
    if branch:
        _refuse_held(repo, branch)
    # HEAD moves last: if the switch fails, the repository is on the old branch.
    commit = repo.refs[branch] if branch else resolve(repo, name)
    tree = Worktree(repo)
    switching.switch(tree, files_of(tree.repo, head_of(tree.repo)), files_of(tree.repo, commit))
    if branch:
        repo.refs.set_symbolic_ref(HEADREF, branch)
    else:
        detach(repo, commit)


def detach(repo: Repo, commit: bytes) -> None:
    """Detach HEAD at a commit."""
    head = Path(os.fsdecode(repo.controldir())) / "HEAD"
    # The name by which git excludes other writers (gitrepository-layout(5)).
    temporary = head.with_name("HEAD.lock")
    with temporary.open("xb") as file:
        file.write(commit + b"\n")
    temporary.replace(head)


def _track(repo: Repo, name: str) -> None:
    """Create the branch ``name`` if exactly one remote has one."""
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
    """Make ``branch`` track the remote's branch of the same name."""
    config = repo.get_config()
    config.set((b"branch", branch), b"remote", remote)
    config.set((b"branch", branch), b"merge", b"refs/heads/" + branch)
    config.write_to_path()
