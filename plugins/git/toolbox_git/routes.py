"""The git operations."""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.errors import Conflict
from toolbox.errors import ContentTooLarge
from toolbox.errors import Forbidden
from toolbox.errors import NotFound
from toolbox.errors import NotSupported
from toolbox.errors import RequestTimeout
from toolbox.group import Group
from toolbox.request import RequestInfo
from toolbox_git import models
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
from toolbox_git.settings import GitSettings

group = Group(
    "git",
    backend=GitBackend,
    default_backend="auto",
    settings=GitSettings,
    summary="Repositories",
)

ON_DISK = (
    RepositoryNotFound,
    BadRequest,
    Forbidden,
    Conflict,
    RequestTimeout,
    NotSupported,
    FilterFailed,
    Refused,
)
REMOTE = (AuthenticationFailed, TransportFailed)


@group.get("/git/status", errors=ON_DISK)
def get_status(backend: GitBackend, query: models.RepositoryQuery) -> models.GitStatus:
    """Return the branch and the changed files."""
    return backend.status(query)


@group.get("/git/history", errors=ON_DISK)
def get_commit_history(backend: GitBackend, query: models.HistoryQuery) -> list[models.CommitInfo]:
    """List the commits of HEAD, newest first: all, or as many as ``limit``."""
    return backend.history(query)


@group.get("/x/git/diff", errors=(*ON_DISK, BranchNotFound, ContentTooLarge))
def get_diff(backend: GitBackend, query: models.DiffQuery) -> models.Diff:
    """Compare the working tree, the index or a commit with what was before."""
    return backend.diff(query)


@group.get("/git/branches", errors=ON_DISK)
def list_branches(backend: GitBackend, query: models.RepositoryQuery) -> models.Branches:
    """List the local branches."""
    return backend.branches(query)


@group.post("/git/branches", status=201, errors=(*ON_DISK, BranchExists, BranchNotFound))
def create_branch(backend: GitBackend, body: models.BranchRequest) -> None:
    """Create a branch at HEAD and check it out."""
    backend.create_branch(body)


@group.delete("/git/branches", status=204, errors=(*ON_DISK, BranchNotFound))
def delete_branch(backend: GitBackend, body: models.BranchRequest) -> None:
    """Delete a branch, merged or not."""
    backend.delete_branch(body)


@group.post("/git/checkout", errors=(*ON_DISK, BranchNotFound, DirtyWorktree))
def checkout_branch(backend: GitBackend, body: models.CheckoutRequest) -> None:
    """Check out a branch or commit."""
    backend.checkout(body)


@group.post("/git/add", errors=ON_DISK)
def add_files(backend: GitBackend, body: models.AddRequest) -> None:
    """Stage files, directories and deletions."""
    backend.add(body)


@group.post("/git/commit", errors=(*ON_DISK, MergeConflict))
def commit_changes(backend: GitBackend, body: models.CommitRequest) -> models.CommitResult:
    """Commit the staged changes."""
    return backend.commit(body)


@group.post("/git/init", status=201, errors=ON_DISK)
def init_repository(backend: GitBackend, body: models.InitRequest) -> None:
    """Create a repository."""
    backend.init(body)


@group.post("/git/reset", errors=(*ON_DISK, BranchNotFound, DirtyWorktree))
def reset_changes(backend: GitBackend, body: models.ResetRequest) -> None:
    """Reset HEAD and, depending on the mode, the index and the working tree."""
    backend.reset(body)


@group.post("/git/restore", errors=(*ON_DISK, BranchNotFound))
def restore_files(backend: GitBackend, body: models.RestoreRequest) -> None:
    """Restore files in the working tree, the index or both."""
    backend.restore(body)


@group.post("/git/clone", errors=(*ON_DISK, *REMOTE, BranchNotFound))
def clone_repository(backend: GitBackend, body: models.CloneRequest, request: RequestInfo) -> None:
    """Clone a repository."""
    backend.clone(body, request.is_disconnected)


@group.post("/git/pull", errors=(*ON_DISK, *REMOTE, NotFound, MergeConflict, DirtyWorktree))
def pull_changes(backend: GitBackend, body: models.PullRequest, request: RequestInfo) -> None:
    """Fetch a branch and fast-forward to it."""
    backend.pull(body, request.is_disconnected)


@group.post("/git/push", errors=(*ON_DISK, *REMOTE, NotFound, PushRejected, RemoteRejected))
def push_changes(backend: GitBackend, body: models.PushRequest, request: RequestInfo) -> None:
    """Push a branch."""
    backend.push(body, request.is_disconnected)


@group.get("/git/remotes", errors=ON_DISK)
def list_remotes(backend: GitBackend, query: models.RepositoryQuery) -> models.Remotes:
    """List the remotes."""
    return backend.remotes(query)


@group.post("/git/remotes", status=201, errors=(*ON_DISK, *REMOTE))
def add_remote(backend: GitBackend, body: models.AddRemoteRequest, request: RequestInfo) -> None:
    """Add a remote, or change its URL."""
    backend.add_remote(body, request.is_disconnected)


@group.get("/git/config", errors=ON_DISK)
def get_config(backend: GitBackend, query: models.ConfigQuery) -> models.ConfigValue:
    """Return the value of a configuration key."""
    return backend.get_config(query)


@group.post("/git/config", errors=ON_DISK)
def set_config(backend: GitBackend, body: models.SetConfigRequest) -> None:
    """Set a configuration key."""
    backend.set_config(body)


@group.post("/git/config/user", errors=ON_DISK)
def configure_user(backend: GitBackend, body: models.ConfigureUserRequest) -> None:
    """Set the name and e-mail address used for commits."""
    backend.configure_user(body)


@group.post("/git/credentials", errors=(BadRequest, Forbidden))
def authenticate(backend: GitBackend, body: models.CredentialsRequest) -> None:
    """Store credentials for a host, in plain text."""
    backend.store_credentials(body)
