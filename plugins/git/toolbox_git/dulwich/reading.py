"""Status, branches and remotes with dulwich."""

from __future__ import annotations

from dulwich.index import ConflictedIndexEntry
from dulwich.objects import ObjectID
from dulwich.refs import Ref
from dulwich.repo import Repo

from toolbox_git.dulwich.changes import changes
from toolbox_git.dulwich.revisions import Files
from toolbox_git.dulwich.revisions import commit_at
from toolbox_git.dulwich.revisions import current_branch
from toolbox_git.dulwich.revisions import files_of
from toolbox_git.dulwich.revisions import head_of
from toolbox_git.dulwich.worktree import Entries
from toolbox_git.dulwich.worktree import Worktree
from toolbox_git.dulwich.worktree import is_intended
from toolbox_git.models import Branches
from toolbox_git.models import Change
from toolbox_git.models import FileStatus
from toolbox_git.models import GitStatus
from toolbox_git.models import Remote
from toolbox_git.names import to_text

_UNMERGED: dict[tuple[bool, bool, bool], tuple[Change, Change]] = {
    # By whether base, ours and theirs exist: the combinations of letters of git-status(1).
    (True, False, False): ("Deleted", "Deleted"),
    (False, True, False): ("Added", "Updated but unmerged"),
    (True, False, True): ("Deleted", "Updated but unmerged"),
    (True, True, False): ("Updated but unmerged", "Deleted"),
    (False, False, True): ("Updated but unmerged", "Added"),
    (False, True, True): ("Added", "Added"),
    (True, True, True): ("Updated but unmerged", "Updated but unmerged"),
}


def status(tree: Worktree) -> GitStatus:
    """Return the branch and every file that isn't clean."""
    branch = current_branch(tree.repo)
    head = head_of(tree.repo)
    upstream, ahead, behind, published = _upstream(tree.repo, branch, head)
    entries, known = tree.snapshot()
    # With the tree that the index caches, the files of HEAD need not be read.
    same = known is not None and head is not None and commit_at(tree.repo, head).tree == known
    states = {} if same else _staged(files_of(tree.repo, head), entries)
    for change in changes(tree, entries):
        if change.kind == "untracked":
            states[change.path] = ("Untracked", "Untracked")
        elif change.kind == "deleted":
            states[change.path] = (states.get(change.path, _CLEAN)[0], "Deleted")
        elif is_intended(entries[change.path]):
            states[change.path] = ("Unmodified", "Added")
        else:
            states[change.path] = (states.get(change.path, _CLEAN)[0], "Modified")
    return GitStatus(
        current_branch="HEAD" if branch is None else to_text(branch),
        file_status=[
            FileStatus(name=to_text(path), staging=states[path][0], worktree=states[path][1])
            for path in sorted(states)
        ],
        branch_published=published,
        ahead=ahead,
        behind=behind,
        detached=branch is None,
        upstream=upstream,
    )


_CLEAN: tuple[Change, Change] = ("Unmodified", "Unmodified")


def _staged(committed: Files, entries: Entries) -> dict[bytes, tuple[Change, Change]]:
    """Compare the index with the files of HEAD, which are removed from ``committed``."""
    states: dict[bytes, tuple[Change, Change]] = {}
    for path, entry in entries.items():
        was = committed.pop(path, None)
        if isinstance(entry, ConflictedIndexEntry):
            sides = (entry.ancestor, entry.this, entry.other)
            states[path] = _UNMERGED[
                sides[0] is not None, sides[1] is not None, sides[2] is not None
            ]
        elif is_intended(entry):
            continue
        elif was is None:
            states[path] = ("Added", "Unmodified")
        elif was != (entry.mode, entry.sha):
            states[path] = ("Modified", "Unmodified")
    for path in committed:
        states[path] = ("Deleted", "Unmodified")
    return states


def tracking(repo: Repo, branch: bytes) -> tuple[bytes, bytes] | None:
    """Return the remote and its reference that ``branch`` tracks; None if it tracks none."""
    config = repo.get_config_stack()
    try:
        section = (b"branch", branch)
        return config.get(section, b"remote"), config.get(section, b"merge")
    except KeyError:
        return None


def _upstream(repo: Repo, branch: bytes | None, head: bytes | None) -> tuple[str, int, int, bool]:
    tracked = tracking(repo, branch) if branch else None
    if tracked is None:
        return "", 0, 0, False
    remote, merge = tracked
    name = merge.removeprefix(b"refs/heads/")
    # "." stands for the repository itself: the upstream is a local branch (git-config(1)).
    if remote == b".":
        reference, shown = merge, to_text(name)
    else:
        reference = b"refs/remotes/" + remote + b"/" + name
        shown = to_text(remote + b"/" + name)
    try:
        upstream = repo.refs[Ref(reference)]
    except KeyError:
        return shown, 0, 0, False
    if head is None:
        return shown, 0, 0, False
    return shown, _count(repo, head, upstream), _count(repo, upstream, head), True


def _count(repo: Repo, include: bytes, exclude: bytes) -> int:
    """Count the commits reachable from ``include`` but not from ``exclude``."""
    if include == exclude:
        return 0
    walker = repo.get_walker(include=[ObjectID(include)], exclude=[ObjectID(exclude)])
    return sum(1 for _ in walker)


def branches(repo: Repo) -> Branches:
    """Return the local branches."""
    names = repo.refs.keys(base=Ref(b"refs/heads/"))
    current = current_branch(repo)
    return Branches(sorted(to_text(name) for name in names), to_text(current or b""))


def remotes(repo: Repo) -> list[Remote]:
    """Return the remotes that have a URL."""
    config = repo.get_config_stack()
    found: dict[str, str] = {}
    for section in config.sections():
        if len(section) == 2 and section[0].lower() == b"remote":
            try:
                url = next(iter(config.get_multivar(section, b"url")))
            except (KeyError, StopIteration):
                continue
            found[to_text(section[1])] = to_text(url)
    return [Remote(name, url) for name, url in sorted(found.items())]
