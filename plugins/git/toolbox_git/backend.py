"""What a backend of the group ``git`` can do.

Every method may raise RepositoryNotFound, Forbidden (the service's user may not), Conflict
(another operation on the repository takes too long, or a file ``*.lock`` is in the way) and
RequestTimeout. A relative ``path`` starts in the service's working directory; it must be the top
directory of the repository: none is looked for above it.

What talks to a remote may further raise AuthenticationFailed, Forbidden, TransportFailed and
RepositoryNotFound; it takes ``gone``, which tells whether the client still waits: if not, the
operation is ended and cleaned up after.

Names of files and branches are text as :mod:`toolbox_git.names` defines it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

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

Gone = Callable[[], bool]


class GitBackend(Protocol):
    """Works on repositories."""

    def status(self, query: RepositoryQuery) -> GitStatus:
        """Branch and changed files. Raises BadRequest if there is no working tree."""

    def history(self, query: RepositoryQuery) -> list[CommitInfo]:
        """Every commit HEAD can reach, newest first; none before the first commit."""

    def branches(self, query: RepositoryQuery) -> Branches:
        """The local branches."""

    def create_branch(self, body: BranchRequest) -> None:
        """Make a branch at HEAD and check it out; changes in the working tree stay.

        Raises BadRequest for an impossible name, BranchExists, BranchNotFound before the first
        commit.
        """

    def delete_branch(self, body: BranchRequest) -> None:
        """Delete a branch, merged or not. Raises BranchNotFound, Conflict if it is checked out."""

    def checkout(self, body: CheckoutRequest) -> None:
        """Check out a branch or commit; never a file. Raises BranchNotFound, DirtyWorktree."""

    def add(self, body: AddRequest) -> None:
        """Stage all of ``files``, or nothing. Raises BadRequest if one is neither there nor known,
        or lies outside.
        """

    def commit(self, body: CommitRequest) -> CommitResult:
        """Commit what is staged; runs no hooks and signs nothing.

        Raises Conflict if nothing is staged, MergeConflict if a merge has conflicts left.
        """

    def init(self, body: InitRequest) -> None:
        """Make a repository. Raises BadRequest, Conflict if a file is in the way."""

    def reset(self, body: ResetRequest) -> None:
        """As ``git reset``. Raises BadRequest, BranchNotFound, DirtyWorktree."""

    def restore(self, body: RestoreRequest) -> None:
        """As ``git restore``. Raises BadRequest for an unknown file, BranchNotFound."""

    def clone(self, body: CloneRequest, gone: Gone) -> None:
        """Clone one branch, and the tags on it. What it made is removed if it fails.

        Raises BadRequest, Conflict if the target isn't an empty directory, BranchNotFound.
        """

    def pull(self, body: PullRequest, gone: Gone) -> None:
        """Fetch and fast-forward. Raises MergeConflict if the histories have diverged,
        DirtyWorktree, BranchNotFound, NotFound for an unknown remote.
        """

    def push(self, body: PushRequest, gone: Gone) -> None:
        """Push a branch, never by force. Raises PushRejected, RemoteRejected, BranchNotFound,
        NotFound for an unknown remote.
        """

    def remotes(self, query: RepositoryQuery) -> Remotes:
        """The remotes."""

    def add_remote(self, body: AddRemoteRequest, gone: Gone) -> None:
        """Add a remote or change its URL. Raises BadRequest, Conflict if it is there."""

    def get_config(self, query: ConfigQuery) -> ConfigValue:
        """One value. Raises BadRequest for a malformed key, or scope local without a path."""

    def set_config(self, body: SetConfigRequest) -> None:
        """Set one value. Raises as :meth:`get_config`."""

    def configure_user(self, body: ConfigureUserRequest) -> None:
        """Set name and e-mail address. Raises as :meth:`get_config`."""

    def store_credentials(self, body: CredentialsRequest) -> None:
        """Keep credentials for later operations that bring none, instead of the host's former."""
