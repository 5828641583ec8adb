"""Clone, fetch and pull with dulwich."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
from dulwich.client import GitClient
from dulwich.client import LsRemoteResult
from dulwich.config import StackedConfig
from dulwich.graph import can_fast_forward
from dulwich.objects import ObjectID
from dulwich.refs import HEADREF
from dulwich.refs import Ref
from dulwich.repo import Repo

from toolbox.errors import BadRequest
from toolbox.errors import NotFound
from toolbox.errors import NotSupported
from toolbox_git.dulwich import branches
from toolbox_git.dulwich import committing
from toolbox_git.dulwich import switching
from toolbox_git.dulwich.reading import remotes
from toolbox_git.dulwich.reading import tracking
from toolbox_git.dulwich.remote.connecting import Access
from toolbox_git.dulwich.remote.connecting import configuration_for_remotes
from toolbox_git.dulwich.remote.connecting import connect
from toolbox_git.dulwich.revisions import current_branch
from toolbox_git.dulwich.revisions import files_of
from toolbox_git.dulwich.revisions import head_of
from toolbox_git.dulwich.revisions import resolve
from toolbox_git.dulwich.worktree import Worktree
from toolbox_git.errors import BranchNotFound
from toolbox_git.errors import MergeConflict
from toolbox_git.errors import RepositoryNotFound
from toolbox_git.models import CloneRequest
from toolbox_git.models import PullRequest
from toolbox_git.names import is_branch_name
from toolbox_git.names import to_bytes
from toolbox_git.names import to_text
from toolbox_git.urls import Credentials
from toolbox_git.urls import check_url
from toolbox_git.urls import split_credentials

_HEADS = b"refs/heads/"
_TAGS = b"refs/tags/"
_PEELED = b"^{}"


def clone(body: CloneRequest, target: Path, stall_timeout: float) -> None:
    """Clone into the new ``target``; the URL of ``body`` must be complete."""
    url, credentials = split_credentials(body.url, body.username, body.password)
    access = Access(
        credentials=credentials,
        stall_timeout=stall_timeout,
        insecure=bool(body.insecure_skip_tls),
    )
    client, path = connect(url, StackedConfig.default(), access)
    listed = _list(client, path)
    reference, commit = _choose(listed.refs, listed.symrefs, body.branch)
    branch = reference.removeprefix(_HEADS) if reference.startswith(_HEADS) else b""
    with Repo.init(str(target), mkdir=True, default_branch=branch or None) as repo:
        config = repo.get_config()
        section = (b"remote", b"origin")
        tracked = Ref(b"refs/remotes/origin/" + branch if branch else reference)
        config.set(section, b"url", to_bytes(url))
        config.set(section, b"fetch", b"+" + reference + b":" + tracked)
        config.write_to_path()
        wants = [commit]
        # A shallow clone may lack the commit: it is requested by itself, which takes a whole hash.
        if body.commit_id and len(body.commit_id) == 40 and body.depth:
            wants.append(ObjectID(body.commit_id.lower().encode()))
        _fetch(client, path, repo, wants, body.depth)
        _take_tags(client, path, repo, listed.refs)
        repo.refs[tracked] = commit
        if branch:
            repo.refs[reference] = commit
            repo.refs.set_symbolic_ref(HEADREF, reference)
            branches.set_upstream(repo, branch, b"origin")
        if body.commit_id or not branch:
            commit = ObjectID(resolve(repo, body.commit_id or to_text(reference)))
            branches.detach(repo, commit)
        tree = Worktree(repo)
        switching.reset_hard(tree, files_of(tree.repo, commit))


def _list(client: GitClient, path: bytes) -> LsRemoteResult:
    """Return the references of a remote. Raises NotSupported if its hashes are not SHA-1."""
    listed = client.get_refs(path)
    if any(sha and len(sha) != 40 for sha in listed.refs.values()):
        raise NotSupported("SHA-256 repositories require the backend cli")
    return listed


def _choose(
    refs: Mapping[Ref, ObjectID | None], symrefs: Mapping[Ref, Ref], wanted: str | None
) -> tuple[Ref, ObjectID]:
    """Return the branch or tag to clone, and its object."""
    if wanted:
        return _find(refs, wanted)
    heads = {name: sha for name, sha in refs.items() if name.startswith(_HEADS) and sha}
    if not heads:
        raise RepositoryNotFound("the remote repository is empty")
    # Old servers don't send the branch of HEAD: as git does, guess it from the commit.
    head = refs.get(HEADREF)
    same = sorted(name for name, sha in heads.items() if sha == head)
    usual = [name for name in same if name in (_HEADS + b"main", _HEADS + b"master")]
    chosen = symrefs.get(HEADREF, HEADREF)
    for name in (chosen, *usual, *same, *sorted(heads)):
        if name in heads:
            return Ref(name), heads[Ref(name)]
    raise RepositoryNotFound("the remote repository is empty")


def _find(refs: Mapping[Ref, ObjectID | None], wanted: str) -> tuple[Ref, ObjectID]:
    for kind in (_HEADS, _TAGS):
        name = Ref(kind + to_bytes(wanted))
        if found := refs.get(name):
            return name, found
    raise BranchNotFound(f"the remote has no branch or tag {wanted!r}")


def _fetch(
    client: GitClient, path: bytes, repo: Repo, wants: list[ObjectID], depth: int | None = None
) -> None:
    # Several tags may point to one object.
    missing = list(dict.fromkeys(wants))
    if depth is None:
        missing = [sha for sha in missing if sha not in repo.object_store]
    if missing:
        client.fetch(path, repo, determine_wants=lambda *_, **__: missing, depth=depth)


def _take_tags(
    client: GitClient, path: bytes, repo: Repo, refs: Mapping[Ref, ObjectID | None]
) -> None:
    """Fetch the tags on commits that have been fetched."""
    store = repo.object_store
    tags = {}
    for name, sha in refs.items():
        is_tag = name.startswith(_TAGS) and not name.endswith(_PEELED)
        if is_tag and sha and (refs.get(Ref(name + _PEELED)) or sha) in store:
            tags[name] = sha
    _fetch(client, path, repo, list(tags.values()))
    for name, sha in tags.items():
        if sha in store and name not in repo.refs:
            repo.refs[name] = sha


def fetch(repo: Repo, remote: str, access: Access, branch: str = "") -> bytes:
    """Fetch a branch of ``remote``, or all of them; return the commit of the branch."""
    url, credentials = url_of(repo, remote, access.credentials)
    access = msgspec.structs.replace(access, credentials=credentials)
    client, path = connect(url, configuration_for_remotes(repo), access)
    listed = _list(client, path)
    heads = {name: sha for name, sha in listed.refs.items() if name.startswith(_HEADS) and sha}
    if branch:
        wanted = Ref(_HEADS + to_bytes(branch))
        if wanted not in heads:
            raise BranchNotFound(f"{remote} has no branch {branch!r}")
        heads = {wanted: heads[wanted]}
    _fetch(client, path, repo, list(heads.values()))
    _take_tags(client, path, repo, listed.refs)
    for name, sha in heads.items():
        tracked = b"refs/remotes/" + to_bytes(remote) + b"/" + name.removeprefix(_HEADS)
        repo.refs[Ref(tracked)] = sha
    return next(iter(heads.values()), b"")


def url_of(repo: Repo, remote: str, given: Credentials) -> tuple[str, Credentials]:
    """Return the URL of a remote, and the credentials for it. Raises NotFound."""
    for known in remotes(repo):
        if known.name == remote:
            check_url(known.url)
            return split_credentials(known.url, given.username, given.password)
    raise NotFound(f"no remote {remote!r}")


def pull(repo: Repo, body: PullRequest, access: Access) -> None:
    """Fetch the branch and fast-forward to it."""
    remote, branch = _source(repo, body)
    new = fetch(repo, remote, access, branch)
    head = head_of(repo)
    # A branch that is ahead of the remote's has nothing to pull.
    if head == new or (head and can_fast_forward(repo, ObjectID(new), ObjectID(head))):
        return
    if head and not can_fast_forward(repo, ObjectID(head), ObjectID(new)):
        raise MergeConflict("the histories have diverged; the branch can't be fast-forwarded")
    tree = Worktree(repo)
    switching.switch(tree, files_of(tree.repo, head), files_of(tree.repo, new))
    committing.move_head(repo, head, new, b"pull: Fast-forward")


def _source(repo: Repo, body: PullRequest) -> tuple[str, str]:
    """Return the remote and the branch to pull. Raises BranchNotFound, BadRequest."""
    current = current_branch(repo)
    tracked = tracking(repo, current) if current else None
    remote = body.remote or (to_text(tracked[0]) if tracked else "origin")
    branch = body.branch or to_text((tracked[1] if tracked else current) or b"")
    branch = branch.removeprefix("refs/heads/")
    if not branch:
        raise BranchNotFound("HEAD is detached; specify the branch to pull")
    if not is_branch_name(branch):
        raise BadRequest(f"{branch!r} is not a valid branch name")
    return remote, branch
