"""What can go wrong in the group ``git``."""

from __future__ import annotations

from toolbox.errors import BadGateway
from toolbox.errors import Conflict
from toolbox.errors import NotFound
from toolbox.errors import ToolboxError
from toolbox.errors import Unprocessable


class AuthenticationFailed(ToolboxError):
    """The remote wants credentials, or not these.

    Not an ``Unauthorized``: it isn't about this service's token, whose scheme that would name.
    """

    status = 401
    code = "GIT_AUTH_FAILED"


class RepositoryNotFound(NotFound):
    """No repository is there, or it has nothing to clone."""

    code = "GIT_REPO_NOT_FOUND"


class BranchNotFound(NotFound):
    """No such branch, tag or commit."""

    code = "GIT_BRANCH_NOT_FOUND"


class BranchExists(Conflict):
    """A branch of this name is there, or one whose name leaves no room for it."""

    code = "GIT_BRANCH_EXISTS"


class PushRejected(Conflict):
    """The remote branch has commits that are not here."""

    code = "GIT_PUSH_REJECTED"


class DirtyWorktree(Conflict):
    """Changes that are not committed would be lost."""

    code = "GIT_DIRTY_WORKTREE"


class MergeConflict(Conflict):
    """The histories have diverged, or a merge has conflicts left."""

    code = "GIT_MERGE_CONFLICT"


class RemoteRejected(Unprocessable):
    """The remote refused: a hook, a protected branch, a quota."""

    code = "GIT_REMOTE_REJECTED"


class FilterFailed(Unprocessable):
    """A filter that a file needs (Git LFS, git-crypt) has failed or isn't installed."""

    code = "GIT_FILTER_FAILED"


class Refused(Unprocessable):
    """Git won't do it, for a reason of its own that the message tells."""

    code = "GIT_REFUSED"


class TransportFailed(BadGateway):
    """The remote can't be reached, can't be trusted, or stopped answering."""

    code = "GIT_TRANSPORT_FAILED"
