"""Push with dulwich."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from dulwich.client import LocalGitClient
from dulwich.graph import can_fast_forward
from dulwich.lfs import LFSPointer
from dulwich.lfs import LFSStore
from dulwich.objects import Blob
from dulwich.objects import ObjectID
from dulwich.refs import Ref
from dulwich.repo import Repo

from toolbox.errors import NotSupported
from toolbox_git.dulwich import branches
from toolbox_git.dulwich.remote.connecting import Access
from toolbox_git.dulwich.remote.connecting import configuration_for_remotes
from toolbox_git.dulwich.remote.connecting import connect
from toolbox_git.dulwich.remote.transfer import url_of
from toolbox_git.dulwich.revisions import current_branch
from toolbox_git.errors import BranchNotFound
from toolbox_git.errors import PushRejected
from toolbox_git.errors import RemoteRejected
from toolbox_git.models import PushRequest
from toolbox_git.names import is_branch_name
from toolbox_git.names import to_bytes
from toolbox_git.names import to_text

_HEADS = b"refs/heads/"
_REJECTED = re.compile(r"non-fast-forward|fetch first|stale", re.IGNORECASE)
_MAX_MESSAGE = 2000
"""Characters of an error message, from its end."""
_MAX_POINTER = 1024
"""Maximum bytes of a pointer file (Git LFS specification)."""


def push(repo: Repo, body: PushRequest, access: Access) -> None:
    """Push a branch to the remote's of the same name."""
    branch = to_bytes(body.branch) if body.branch else current_branch(repo)
    if branch is None:
        raise BranchNotFound("HEAD is detached; specify the branch to push")
    reference = Ref(_HEADS + branch)
    if not is_branch_name(to_text(branch)) or reference not in repo.refs:
        raise BranchNotFound(f"no branch {to_text(branch)!r}")
    remote = body.remote or "origin"
    _send(repo, remote, reference, access)
    # dulwich doesn't update the remote-tracking branch after a push; git does.
    new = repo.refs[reference]
    repo.refs[Ref(b"refs/remotes/" + to_bytes(remote) + b"/" + branch)] = new
    if body.set_upstream:
        branches.set_upstream(repo, branch, to_bytes(remote))


def _send(repo: Repo, remote: str, reference: Ref, access: Access) -> None:
    url, credentials = url_of(repo, remote, access.credentials)
    access = msgspec.structs.replace(access, credentials=credentials)
    client, path = connect(url, configuration_for_remotes(repo), access)
    if isinstance(client, LocalGitClient):
        _check_local(path, reference)
    new = repo.refs[reference]
    printed = bytearray()

    def update(refs: dict[Ref, ObjectID]) -> dict[Ref, ObjectID]:
        # The check is here, where the remote's current references are known.
        old = refs.get(reference)
        if old == new:
            return {}
        if old:
            _check_forward(repo, reference, old, new)
        return {reference: new}

    def pack(have: set[ObjectID], want: set[ObjectID], **options: Any) -> Any:
        _refuse_lfs(repo, have, want)
        return repo.generate_pack_data(have, want, **options)

    result = client.send_pack(path, update, pack, progress=printed.extend)  # type: ignore[arg-type]
    for problem in (result.ref_status or {}).values():
        if problem:
            raise _rejection(_text(problem), reference, _text(bytes(printed[-_MAX_MESSAGE:])))


def _check_forward(repo: Repo, reference: Ref, old: ObjectID, new: ObjectID) -> None:
    """Raise PushRejected, in git's words, unless the remote branch can be fast-forwarded."""
    reason = ""
    if old not in repo.object_store:
        reason = "fetch first"
    elif not can_fast_forward(repo, old, new):
        reason = "non-fast-forward"
    if reason:
        name = to_text(reference.removeprefix(_HEADS))
        raise PushRejected(
            f"the remote branch has commits that the local one lacks; pull first\n"
            f"! [rejected] {name} -> {name} ({reason})"
        )


def _rejection(problem: str, reference: Ref, printed: str) -> PushRejected | RemoteRejected:
    name = to_text(reference.removeprefix(_HEADS))
    lines = [f"remote: {line}" for line in printed.splitlines() if line.strip()]
    message = "\n".join([*lines, f"! [remote rejected] {name} -> {name} ({problem})"])
    kind = PushRejected if _REJECTED.search(problem) else RemoteRejected
    return kind(message[-_MAX_MESSAGE:])


def _text(message: str | bytes) -> str:
    return message if isinstance(message, str) else message.decode("utf-8", "backslashreplace")


def _refuse_lfs(repo: Repo, have: set[ObjectID], want: set[ObjectID]) -> None:
    """Raise NotSupported if objects of Git LFS would have to be uploaded as well."""
    directory = Path(os.fsdecode(repo.commondir())) / "lfs"
    if not directory.is_dir():
        return
    store = LFSStore(str(directory))
    for oid in _pointers(repo, have, want):
        try:
            store.open_object(oid).close()
        except KeyError:
            continue  # A pointer without its object is an ordinary file.
        raise NotSupported("Git LFS uploads require the backend cli; nothing was pushed")


def _pointers(repo: Repo, have: set[ObjectID], want: set[ObjectID]) -> Iterator[str]:
    missing = repo.object_store.find_missing_objects(have, want)
    for sha, _ in missing:
        found = repo.object_store[sha]
        if isinstance(found, Blob) and found.raw_length() <= _MAX_POINTER:
            pointer = LFSPointer.from_bytes(found.data)
            if pointer is not None and pointer.is_valid_oid():
                yield pointer.oid


def _check_local(path: bytes, reference: bytes) -> None:
    """Raise RemoteRejected if a working tree has the branch checked out.

    This is git's default for receive.denyCurrentBranch (git-config(1)).
    """
    with Repo(os.fsdecode(path)) as remote:
        if not remote.bare and _HEADS + (current_branch(remote) or b"") == reference:
            raise RemoteRejected("the branch is checked out in the remote repository")
