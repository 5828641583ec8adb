"""The git operations."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from toolbox.errors import BadRequest
from toolbox.errors import Conflict
from toolbox.errors import Forbidden
from toolbox.errors import NotFound
from toolbox.errors import NotImplemented_
from toolbox.errors import RequestTimeout
from toolbox.group import Group
from toolbox.request import RequestInfo
from toolbox_git.backend import GitBackend
from toolbox_git.errors import AuthenticationFailed
from toolbox_git.errors import BranchExists
from toolbox_git.errors import BranchNotFound
from toolbox_git.errors import DirtyWorktree
from toolbox_git.errors import FilterFailed
from toolbox_git.errors import MergeConflict
from toolbox_git.errors import PushRejected
from toolbox_git.errors import Refused
from toolbox_git.errors import RemoteRejected
from toolbox_git.errors import RepositoryNotFound
from toolbox_git.errors import TransportFailed
from toolbox_git.models import AddRemoteRequest
from toolbox_git.models import AddRequest
from toolbox_git.models import Branches
from toolbox_git.models import BranchRequest
from toolbox_git.models import CheckoutRequest
from toolbox_git.models import CloneRequest
from toolbox_git.models import CommitInfo
from toolbox_git.models import CommitRequest
from toolbox_git.models import CommitResult
from toolbox_git.models import ConfigQuery
from toolbox_git.models import ConfigureUserRequest
from toolbox_git.models import ConfigValue
from toolbox_git.models import CredentialsRequest
from toolbox_git.models import GitStatus
from toolbox_git.models import InitRequest
from toolbox_git.models import PullRequest
from toolbox_git.models import PushRequest
from toolbox_git.models import Remotes
from toolbox_git.models import RepositoryQuery
from toolbox_git.models import ResetRequest
from toolbox_git.models import RestoreRequest
from toolbox_git.models import SetConfigRequest


class GitOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of every backend."""

    timeout: Annotated[
        float, Meta(gt=0, description="Seconds an operation on the disk may take.")
    ] = 600.0
    network_timeout: Annotated[
        float, Meta(gt=0, description="Seconds an operation that talks to a remote may take.")
    ] = 3600.0
    stall_timeout: Annotated[float, Meta(gt=0, description="Seconds a remote may be silent.")] = (
        60.0
    )
    lock_timeout: Annotated[
        float,
        Meta(
            ge=0,
            description="Seconds an operation waits for another one that changes the same "
            "repository.",
        ),
    ] = 30.0


group = Group(
    "git",
    backend=GitBackend,
    default_backend="auto",
    settings=GitOptions,
    summary="Repositories",
)

ON_DISK = (
    RepositoryNotFound,
    BadRequest,
    Forbidden,
    Conflict,
    RequestTimeout,
    NotImplemented_,
    FilterFailed,
    Refused,
)
REMOTE = (AuthenticationFailed, TransportFailed)


@group.get("/git/status", errors=ON_DISK)
def get_status(backend: GitBackend, query: RepositoryQuery) -> GitStatus:
    """Tell the branch and the changed files."""
    return backend.status(query)


@group.get("/git/history", errors=ON_DISK)
def get_commit_history(backend: GitBackend, query: RepositoryQuery) -> list[CommitInfo]:
    """List the commits of HEAD, newest first."""
    return backend.history(query)


@group.get("/git/branches", errors=ON_DISK)
def list_branches(backend: GitBackend, query: RepositoryQuery) -> Branches:
    """List the local branches."""
    return backend.branches(query)


@group.post("/git/branches", status=201, errors=(*ON_DISK, BranchExists, BranchNotFound))
def create_branch(backend: GitBackend, body: BranchRequest) -> None:
    """Create a branch at HEAD and check it out."""
    backend.create_branch(body)


@group.delete("/git/branches", status=204, errors=(*ON_DISK, BranchNotFound))
def delete_branch(backend: GitBackend, body: BranchRequest) -> None:
    """Delete a branch, merged or not."""
    backend.delete_branch(body)


@group.post("/git/checkout", errors=(*ON_DISK, BranchNotFound, DirtyWorktree))
def checkout_branch(backend: GitBackend, body: CheckoutRequest) -> None:
    """Check out a branch or commit."""
    backend.checkout(body)


@group.post("/git/add", errors=ON_DISK)
def add_files(backend: GitBackend, body: AddRequest) -> None:
    """Stage files, directories and deletions."""
    backend.add(body)


@group.post("/git/commit", errors=(*ON_DISK, MergeConflict))
def commit_changes(backend: GitBackend, body: CommitRequest) -> CommitResult:
    """Commit what is staged."""
    return backend.commit(body)


@group.post("/git/init", status=201, errors=ON_DISK)
def init_repository(backend: GitBackend, body: InitRequest) -> None:
    """Make a repository."""
    backend.init(body)


@group.post("/git/reset", errors=(*ON_DISK, BranchNotFound, DirtyWorktree))
def reset_changes(backend: GitBackend, body: ResetRequest) -> None:
    """Set HEAD, and the index and the working tree as the mode says."""
    backend.reset(body)


@group.post("/git/restore", errors=(*ON_DISK, BranchNotFound))
def restore_files(backend: GitBackend, body: RestoreRequest) -> None:
    """Restore files in the working tree, the index or both."""
    backend.restore(body)


@group.post("/git/clone", errors=(*ON_DISK, *REMOTE, BranchNotFound))
def clone_repository(backend: GitBackend, body: CloneRequest, request: RequestInfo) -> None:
    """Clone a repository."""
    backend.clone(body, request.client_gone)


@group.post("/git/pull", errors=(*ON_DISK, *REMOTE, NotFound, MergeConflict, DirtyWorktree))
def pull_changes(backend: GitBackend, body: PullRequest, request: RequestInfo) -> None:
    """Fetch a branch and fast-forward to it."""
    backend.pull(body, request.client_gone)


@group.post("/git/push", errors=(*ON_DISK, *REMOTE, NotFound, PushRejected, RemoteRejected))
def push_changes(backend: GitBackend, body: PushRequest, request: RequestInfo) -> None:
    """Push a branch."""
    backend.push(body, request.client_gone)


@group.get("/git/remotes", errors=ON_DISK)
def list_remotes(backend: GitBackend, query: RepositoryQuery) -> Remotes:
    """List the remotes."""
    return backend.remotes(query)


@group.post("/git/remotes", status=201, errors=(*ON_DISK, *REMOTE))
def add_remote(backend: GitBackend, body: AddRemoteRequest, request: RequestInfo) -> None:
    """Add a remote, or change its URL."""
    backend.add_remote(body, request.client_gone)


@group.get("/git/config", errors=ON_DISK)
def get_config(backend: GitBackend, query: ConfigQuery) -> ConfigValue:
    """Tell the value of a configuration key."""
    return backend.get_config(query)


@group.post("/git/config", errors=ON_DISK)
def set_config(backend: GitBackend, body: SetConfigRequest) -> None:
    """Set a configuration key."""
    backend.set_config(body)


@group.post("/git/config/user", errors=ON_DISK)
def configure_user(backend: GitBackend, body: ConfigureUserRequest) -> None:
    """Set the name and e-mail address that commits are made with."""
    backend.configure_user(body)


@group.post("/git/credentials", errors=(BadRequest, Forbidden))
def authenticate(backend: GitBackend, body: CredentialsRequest) -> None:
    """Keep credentials for a host, in plain text."""
    backend.store_credentials(body)
