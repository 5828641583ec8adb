"""Clone, fetch, pull and push by dulwich."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
import urllib3
from dulwich.client import GitClient
from dulwich.client import LocalGitClient
from dulwich.client import LsRemoteResult
from dulwich.client import Urllib3HttpGitClient
from dulwich.client import get_transport_and_path
from dulwich.config import ConfigFile
from dulwich.config import StackedConfig
from dulwich.config import apply_instead_of
from dulwich.graph import can_fast_forward
from dulwich.objects import ObjectID
from dulwich.refs import HEADREF
from dulwich.refs import Ref
from dulwich.repo import Repo

from toolbox.errors import BadRequest
from toolbox.errors import NotFound
from toolbox.errors import NotImplemented_
from toolbox_git.errors import BranchNotFound
from toolbox_git.errors import MergeConflict
from toolbox_git.errors import PushRejected
from toolbox_git.errors import RemoteRejected
from toolbox_git.errors import RepositoryNotFound
from toolbox_git.models import CloneRequest
from toolbox_git.models import PullRequest
from toolbox_git.models import PushRequest
from toolbox_git.names import is_branch_name
from toolbox_git.names import to_bytes
from toolbox_git.names import to_text
from toolbox_git.pure import branches
from toolbox_git.pure import committing
from toolbox_git.pure import switching
from toolbox_git.pure.configuration import stored_credentials
from toolbox_git.pure.reading import remotes
from toolbox_git.pure.reading import tracking
from toolbox_git.pure.revisions import current_branch
from toolbox_git.pure.revisions import files_of
from toolbox_git.pure.revisions import head_of
from toolbox_git.pure.revisions import resolve
from toolbox_git.pure.worktree import Worktree
from toolbox_git.urls import Credentials
from toolbox_git.urls import check_url
from toolbox_git.urls import complete_url
from toolbox_git.urls import split_credentials

_HEADS = b"refs/heads/"
_TAGS = b"refs/tags/"
_PEELED = b"^{}"
_REJECTED = re.compile(r"non-fast-forward|fetch first|stale", re.IGNORECASE)


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """How a remote is spoken to."""

    credentials: Credentials = Credentials()
    stall_timeout: float = 60.0
    insecure: bool = False


def _connect(url: str, config: StackedConfig, access: Access) -> tuple[GitClient, bytes]:
    url = apply_instead_of(config, url)
    check_url(url)
    extra = ConfigFile()
    extra.set((b"http",), b"timeout", str(access.stall_timeout).encode())
    if access.insecure:
        extra.set((b"http",), b"sslVerify", b"false")
    credentials = access.credentials or stored_credentials(url)
    client, path = get_transport_and_path(
        url,
        config=StackedConfig([extra, *config.backends]),
        quiet=True,
        # They are sent as Latin-1 (urllib3), where servers expect UTF-8 (RFC 7617, 2.1).
        username=credentials.username.encode().decode("latin-1") or None,
        password=credentials.password.encode().decode("latin-1") or None,
        ssh_command=os.environ.get("GIT_SSH_COMMAND"),
    )
    if isinstance(client, Urllib3HttpGitClient):
        # A silent peer is given up after one stall_timeout, not after four.
        retries = urllib3.Retry(total=10, connect=0, read=0, other=0, redirect=10)
        client.pool_manager.connection_pool_kw["retries"] = retries
    return client, path.encode() if isinstance(path, str) else path


def clone(body: CloneRequest, base: Path, target: Path, stall_timeout: float) -> None:
    """Clone into ``target``, which must not exist."""
    url, credentials = split_credentials(complete_url(body.url, base), body.username, body.password)
    access = Access(
        credentials=credentials,
        stall_timeout=stall_timeout,
        insecure=bool(body.insecure_skip_tls),
    )
    client, path = _connect(url, StackedConfig.default(), access)
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
    """The references of a remote. Raises NotImplemented_ if its hashes are not SHA-1."""
    listed = client.get_refs(path)
    if any(sha and len(sha) != 40 for sha in listed.refs.values()):
        raise NotImplemented_("hashes by SHA-256 are only known to the backend cli")
    return listed


def _choose(
    refs: Mapping[Ref, ObjectID | None], symrefs: Mapping[Ref, Ref], wanted: str | None
) -> tuple[Ref, ObjectID]:
    """The branch or tag to clone, and what it stands for."""
    heads = {name: sha for name, sha in refs.items() if name.startswith(_HEADS) and sha}
    if wanted:
        for kind in (_HEADS, _TAGS):
            name = Ref(kind + to_bytes(wanted))
            if found := refs.get(name):
                return name, found
        raise BranchNotFound(f"the remote has no branch or tag {wanted!r}")
    if not heads:
        raise RepositoryNotFound("the remote repository is empty")
    head = refs.get(HEADREF)
    same = sorted(name for name, sha in heads.items() if sha == head)
    usual = [name for name in same if name in (_HEADS + b"main", _HEADS + b"master")]
    chosen = symrefs.get(HEADREF, HEADREF)
    for name in (chosen, *usual, *same, *sorted(heads)):
        if name in heads:
            return Ref(name), heads[Ref(name)]
    raise RepositoryNotFound("the remote repository is empty")


def _fetch(
    client: GitClient, path: bytes, repo: Repo, wants: list[ObjectID], depth: int | None = None
) -> None:
    missing = list(dict.fromkeys(wants))
    if depth is None:
        missing = [sha for sha in missing if sha not in repo.object_store]
    if missing:
        client.fetch(path, repo, determine_wants=lambda *_, **__: missing, depth=depth)


def _take_tags(
    client: GitClient, path: bytes, repo: Repo, refs: Mapping[Ref, ObjectID | None]
) -> None:
    """Take the tags on commits that have been fetched."""
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


def fetch(
    repo: Repo,
    remote: str,
    access: Access,
    branch: str = "",
) -> bytes:
    """Fetch a branch of ``remote``, or all; the commit of the branch."""
    url, credentials = _url(repo, remote, access.credentials)
    access = msgspec.structs.replace(access, credentials=credentials)
    client, path = _connect(url, repo.get_config_stack(), access)
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


def _url(repo: Repo, remote: str, given: Credentials) -> tuple[str, Credentials]:
    for each in remotes(repo):
        if each.name == remote:
            check_url(each.url)
            return split_credentials(each.url, given.username, given.password)
    raise NotFound(f"no remote {remote!r}")


def pull(repo: Repo, body: PullRequest, access: Access) -> None:
    """Fetch the branch and fast-forward to it."""
    current = current_branch(repo)
    followed = tracking(repo, current) if current else None
    remote = body.remote or (to_text(followed[0]) if followed else "origin")
    branch = body.branch or to_text((followed[1] if followed else current) or b"")
    branch = branch.removeprefix("refs/heads/")
    if not branch:
        raise BranchNotFound("HEAD is detached: name the branch to pull")
    if not is_branch_name(branch):
        raise BadRequest(f"{branch!r} is not a valid branch name")
    new = fetch(repo, remote, access, branch)
    head = head_of(repo)
    if head == new or (head and can_fast_forward(repo, ObjectID(new), ObjectID(head))):
        return
    if head and not can_fast_forward(repo, ObjectID(head), ObjectID(new)):
        raise MergeConflict("the histories have diverged: it can't be fast-forwarded")
    tree = Worktree(repo)
    switching.switch(tree, files_of(tree.repo, head), files_of(tree.repo, new))
    committing.move_head(repo, head, new, b"pull: Fast-forward")


def push(repo: Repo, body: PushRequest, access: Access) -> None:
    """Push a branch to the one of the same name."""
    branch = to_bytes(body.branch) if body.branch else current_branch(repo)
    if branch is None:
        raise BranchNotFound("HEAD is detached: name the branch to push")
    reference = Ref(_HEADS + branch)
    if not is_branch_name(to_text(branch)) or reference not in repo.refs:
        raise BranchNotFound(f"no branch {to_text(branch)!r}")
    new = repo.refs[reference]
    remote = body.remote or "origin"
    url, credentials = _url(repo, remote, access.credentials)
    access = msgspec.structs.replace(access, credentials=credentials)
    client, path = _connect(url, repo.get_config_stack(), access)
    if isinstance(client, LocalGitClient):
        _check_local(path, reference)

    def update(refs: dict[Ref, ObjectID]) -> dict[Ref, ObjectID]:
        old = refs.get(reference)
        if old == new:
            return {}
        if old and (old not in repo.object_store or not can_fast_forward(repo, old, new)):
            raise PushRejected("the remote branch has commits that are not here: pull first")
        return {reference: new}

    result = client.send_pack(path, update, repo.generate_pack_data)  # type: ignore[arg-type]
    for problem in (result.ref_status or {}).values():
        if problem:
            kind = PushRejected if _REJECTED.search(str(problem)) else RemoteRejected
            raise kind(f"the remote refused: {problem}"[:2000])
    repo.refs[Ref(b"refs/remotes/" + to_bytes(remote) + b"/" + branch)] = new
    if body.set_upstream:
        branches.set_upstream(repo, branch, to_bytes(remote))


def _check_local(path: bytes, reference: bytes) -> None:
    """A push must not move the branch under a working tree (receive.denyCurrentBranch)."""
    with Repo(os.fsdecode(path)) as there:
        if not there.bare and _HEADS + (current_branch(there) or b"") == reference:
            raise RemoteRejected("the branch is checked out in the remote repository")
