"""The errors of the group ``git``."""

from __future__ import annotations

from toolbox.errors import BadGateway
from toolbox.errors import Conflict
from toolbox.errors import NotFound
from toolbox.errors import ToolboxError
from toolbox.errors import Unprocessable


class AuthenticationFailed(ToolboxError):
    """The remote requires credentials, or rejected those given.

    Not an ``Unauthorized``, which would name the scheme of this service's own token.
    """

    # Clients distinguish it from the service's own 401 by the code.
    status = 401
    code = "GIT_AUTH_FAILED"


class RepositoryNotFound(NotFound):
    """The repository doesn't exist, or it is empty and can't be cloned."""

    code = "GIT_REPO_NOT_FOUND"


class BranchNotFound(NotFound):
    """The branch, tag or commit doesn't exist."""

    code = "GIT_BRANCH_NOT_FOUND"


class BranchExists(Conflict):
    """The branch exists, or one whose name conflicts with it (``a`` and ``a/b``)."""

    code = "GIT_BRANCH_EXISTS"


class PushRejected(Conflict):
    """The remote branch has commits that the local one lacks."""

    code = "GIT_PUSH_REJECTED"


class DirtyWorktree(Conflict):
    """Uncommitted changes would be lost."""

    code = "GIT_DIRTY_WORKTREE"


class MergeConflict(Conflict):
    """The histories have diverged, or a merge has unresolved conflicts."""

    code = "GIT_MERGE_CONFLICT"


class RemoteRejected(Unprocessable):
    """The remote refused the push: a hook, a protected branch, a quota."""

    code = "GIT_REMOTE_REJECTED"


class FilterFailed(Unprocessable):
    """A filter that a file requires (Git LFS, git-crypt) failed or isn't installed."""

    code = "GIT_FILTER_FAILED"


class Refused(Unprocessable):
    """Git refused the operation, for the reason in the message."""

    code = "GIT_REFUSED"


class TransportFailed(BadGateway):
    """The remote is unreachable, untrusted, or stopped responding."""

    code = "GIT_TRANSPORT_FAILED"
