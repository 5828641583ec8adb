"""Resolution of HEAD, branches and revisions to commits, and of commits to files."""

from __future__ import annotations

import re
import stat

from dulwich.objects import Commit
from dulwich.objects import ObjectID
from dulwich.objects import ShaFile
from dulwich.objects import Tag
from dulwich.objects import Tree
from dulwich.objectspec import AmbiguousShortId
from dulwich.objectspec import parse_commit
from dulwich.objectspec import parse_object
from dulwich.objectspec import scan_for_short_id
from dulwich.refs import HEADREF
from dulwich.repo import Repo

from toolbox_git.errors import BranchNotFound
from toolbox_git.names import to_bytes

_HASH = re.compile(rb"[0-9a-fA-F]{4,40}")

_NONE = (
    KeyError,
    ValueError,
    IndexError,
    AssertionError,
    NotImplementedError,
    AmbiguousShortId,
)
"""The exceptions by which dulwich reports, depending on its input, that an object doesn't exist."""

Files = dict[bytes, tuple[int, bytes]]
"""Mode and hash by path."""


def commit_at(repo: Repo, sha: bytes) -> Commit:
    """Return the commit with this hash."""
    found = repo.object_store[ObjectID(sha)]
    assert isinstance(found, Commit)
    return found


def files_of(repo: Repo, commit: bytes | None) -> Files:
    """Return the files of a commit; empty if ``commit`` is None."""
    if commit is None:
        return {}
    files: Files = {}
    store = repo.object_store
    stack = [(b"", bytes(commit_at(repo, commit).tree))]
    while stack:
        prefix, sha = stack.pop()
        found = store[ObjectID(sha)]
        assert isinstance(found, Tree)
        for name, mode, entry in found.iteritems():
            if stat.S_ISDIR(mode):
                stack.append((prefix + name + b"/", entry))
            else:
                files[prefix + name] = (mode, entry)
    return files


def head_of(repo: Repo) -> bytes | None:
    """Return the commit that HEAD points to; None before the first commit."""
    try:
        return repo.head()
    except KeyError:
        return None


def current_branch(repo: Repo) -> bytes | None:
    """Return the branch that is checked out; None if HEAD is detached."""
    target = repo.refs.get_symrefs().get(HEADREF)
    if target is None or not target.startswith(b"refs/heads/"):
        return None
    return bytes(target.removeprefix(b"refs/heads/"))


def resolve(repo: Repo, revision: str) -> bytes:
    """Return the hash of the commit that ``revision`` names. Raises BranchNotFound."""
    name = to_bytes(revision)
    if revision and not revision.startswith("-"):
        # Each of them understands other forms of revisions.
        for parse in (parse_commit, parse_object, _hash):
            try:
                return _peeled(repo, parse(repo, name))
            except _NONE:
                continue
    raise BranchNotFound(f"no branch, tag or commit {revision!r}")


def _hash(repo: Repo, name: bytes) -> ShaFile:
    """Return the commit of an uppercase hash, which dulwich doesn't accept. Raises KeyError."""
    if not _HASH.fullmatch(name):
        raise KeyError(name)
    return scan_for_short_id(repo.object_store, name.lower(), Commit)


def _peeled(repo: Repo, found: ShaFile) -> bytes:
    """Return the hash of a commit, or of the one a tag points to. Raises ValueError."""
    while isinstance(found, Tag):
        found = repo.object_store[found.object[1]]
    if not isinstance(found, Commit):
        raise ValueError("not a commit")
    return found.id
