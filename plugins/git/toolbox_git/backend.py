"""The Protocol of a backend for the group ``git``.

Every method may raise RepositoryNotFound, Forbidden (the service's user lacks permission),
Conflict (another operation holds the repository for too long, or a file ``*.lock`` exists) and
RequestTimeout. A relative ``path`` starts in the service's working directory. It must be the top
directory of the repository; parent directories are not searched.

Methods that use a remote may also raise AuthenticationFailed, Forbidden, TransportFailed and
RepositoryNotFound. They take ``disconnected``, which reports whether the client has disconnected;
the operation is then terminated and cleaned up.

Names of files and branches are encoded as :mod:`toolbox_git.names` describes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from toolbox_git import models

IsDisconnected = Callable[[], bool]


class GitBackend(Protocol):
    """Operations on repositories."""

    def status(self, query: models.RepositoryQuery) -> models.GitStatus:
        """Return the branch and the changed files. Raises BadRequest for a bare repository."""

    def history(self, query: models.HistoryQuery) -> list[models.CommitInfo]:
        """Return the commits reachable from HEAD, newest first; empty before the first commit.

        With a limit the others aren't read: a history may have a million.
        """

    def diff(self, query: models.DiffQuery) -> models.Diff:
        """Compare files, without running a program that the repository names for that.

        Renames are a deletion and an addition. Raises BranchNotFound, BadRequest if there is no
        working tree, ContentTooLarge.
        """

    def branches(self, query: models.RepositoryQuery) -> models.Branches:
        """Return the local branches."""

    def create_branch(self, body: models.BranchRequest) -> None:
        """Create a branch at HEAD and check it out; changes in the working tree stay.

        Raises BadRequest for an invalid name, BranchExists, BranchNotFound before the first
        commit.
        """

    def delete_branch(self, body: models.BranchRequest) -> None:
        """Delete a branch, merged or not. Raises BranchNotFound, Conflict if it is checked out."""

    def checkout(self, body: models.CheckoutRequest) -> None:
        """Check out a branch or commit; never a file. Raises BranchNotFound, DirtyWorktree."""

    def add(self, body: models.AddRequest) -> None:
        """Stage all of ``files``, or none of them.

        Raises BadRequest if one neither exists nor is tracked, or lies outside the repository.
        """

    def commit(self, body: models.CommitRequest) -> models.CommitResult:
        """Commit the index, without running hooks or signing.

        Raises Conflict if nothing is staged, MergeConflict if a merge has unresolved conflicts.
        """

    def init(self, body: models.InitRequest) -> None:
        """Create a repository. Raises BadRequest, Conflict if ``path`` is not a directory."""

    def reset(self, body: models.ResetRequest) -> None:
        """Reset as ``git reset`` does. Raises BadRequest, BranchNotFound, DirtyWorktree."""

    def restore(self, body: models.RestoreRequest) -> None:
        """Restore as ``git restore`` does. Raises BadRequest for unknown files, BranchNotFound."""

    def clone(self, body: models.CloneRequest, disconnected: IsDisconnected) -> None:
        """Clone one branch and the tags on it. Leaves nothing behind if it fails.

        Raises BadRequest, Conflict if the target isn't an empty directory, BranchNotFound.
        """

    def pull(self, body: models.PullRequest, disconnected: IsDisconnected) -> None:
        """Fetch and fast-forward.

        Raises MergeConflict if the histories have diverged, DirtyWorktree, BranchNotFound, and
        NotFound for an unknown remote.
        """

    def push(self, body: models.PushRequest, disconnected: IsDisconnected) -> None:
        """Push a branch, never by force.

        Raises PushRejected, RemoteRejected, BranchNotFound, and NotFound for an unknown remote.
        """

    def remotes(self, query: models.RepositoryQuery) -> models.Remotes:
        """Return the remotes."""

    def add_remote(self, body: models.AddRemoteRequest, disconnected: IsDisconnected) -> None:
        """Add a remote or change its URL. Raises BadRequest, Conflict if it already exists."""

    def get_config(self, query: models.ConfigQuery) -> models.ConfigValue:
        """Return one value.

        Raises BadRequest for a malformed key, or for scope ``local`` without a path.
        """

    def set_config(self, body: models.SetConfigRequest) -> None:
        """Set one value. Raises as :meth:`get_config`."""

    def configure_user(self, body: models.ConfigureUserRequest) -> None:
        """Set the user's name and e-mail address. Raises as :meth:`get_config`."""

    def store_credentials(self, body: models.CredentialsRequest) -> None:
        """Store credentials for operations that bring none, replacing those of the same host."""
