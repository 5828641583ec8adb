"""Requests and responses of the git operations.

In a request ``null`` is the same as an absent field: SDKs send either.
"""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta

from toolbox.http.client_versions import since

RequiredText = Annotated[str, Meta(min_length=1, pattern=r"^[^\x00]*\Z")]
Text = Annotated[str, Meta(pattern=r"^[^\x00]*\Z")]
SingleLine = Annotated[str, Meta(pattern=r"^[^\x00\r\n]*\Z")]
"""For credentials, which git exchanges line by line (git-credential(1))."""
RequiredLine = Annotated[str, Meta(min_length=1, pattern=r"^[^\x00\r\n]*\Z")]

Scope = Literal["global", "local", "system"]
ResetMode = Literal["soft", "mixed", "hard", "merge", "keep"]
Change = Literal[
    "Unmodified",
    "Untracked",
    "Modified",
    "Added",
    "Deleted",
    "Renamed",
    "Copied",
    "Updated but unmerged",
]


class RepositoryQuery(msgspec.Struct, frozen=True):
    """The repository's top directory; a relative path starts in the working directory."""

    path: RequiredText


class HistoryQuery(msgspec.Struct, frozen=True):
    """A repository, as in RepositoryQuery, and the number of commits at most."""

    path: RequiredText
    limit: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None


class FileStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One file that differs from HEAD or the index."""

    name: str
    """Path relative to the top directory, with ``/``."""
    staging: Change
    """The index against HEAD."""
    worktree: Change
    """The working tree against the index."""
    extra: str = ""


class GitStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A repository's branch and the files that are not clean, sorted by name."""

    current_branch: str
    """The short name, even before the first commit; ``HEAD`` if HEAD is detached."""
    file_status: list[FileStatus]
    branch_published: bool = False
    """True if the branch has an upstream that exists."""
    ahead: int = 0
    behind: int = 0
    detached: Annotated[bool, since(0, 188)] = False
    upstream: Annotated[str, since(0, 188)] = ""
    """The tracking branch, such as ``origin/main``; empty without one."""


class CommitInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One commit."""

    hash: str
    author: str
    email: str
    message: str
    timestamp: str
    """Author date (RFC 3339), with the commit's own UTC offset."""


class CommitResult(msgspec.Struct, frozen=True):
    """The new commit."""

    hash: str


class DiffQuery(msgspec.Struct, frozen=True):
    """The files to compare: those of the working tree with the index or with ``revision``, those of
    the index with HEAD or with ``revision``, or those of the commit ``revision``, by default HEAD,
    with its first parent.
    """

    path: RequiredText
    of: Literal["worktree", "index", "commit"] = "worktree"
    revision: Text = ""


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """Differences, as git shows them; bytes that aren't UTF-8 are U+FFFD."""

    diff: str
    commit: CommitInfo | None = None
    """The commit that was compared, if it was one."""


class Branches(msgspec.Struct, frozen=True):
    """Local branches, sorted; ``current`` is empty if HEAD is detached."""

    branches: list[str]
    current: Annotated[str, since(0, 188)]


class Remote(msgspec.Struct, frozen=True):
    """A remote and its fetch URL."""

    name: str
    url: str


class Remotes(msgspec.Struct, frozen=True):
    """The remotes of a repository, sorted by name."""

    remotes: list[Remote]


class ConfigValue(msgspec.Struct, frozen=True):
    """The value of a key; None if it isn't set, the last one if there are several."""

    value: str | None


class AddRequest(msgspec.Struct, frozen=True):
    """Files and directories to stage, by literal name; deletions are staged too."""

    path: RequiredText
    files: list[RequiredText]


class BranchRequest(msgspec.Struct, frozen=True):
    """A branch of a repository."""

    path: RequiredText
    name: RequiredText


class CheckoutRequest(msgspec.Struct, frozen=True):
    """A revision to check out: a local branch, a remote's branch, or a commit, in this order."""

    path: RequiredText
    branch: RequiredText


class CloneRequest(msgspec.Struct, frozen=True):
    """A repository to clone, its target, and limits on what is cloned."""

    url: RequiredText
    path: RequiredText
    branch: Text | None = None
    commit_id: Text | None = None
    """A commit to check out, detached; at least four hexadecimal digits."""
    username: SingleLine | None = None
    password: SingleLine | None = None
    insecure_skip_tls: bool | None = False
    depth: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    """Commits of each branch to clone; all if absent."""


class CommitRequest(msgspec.Struct, frozen=True):
    """A commit of the index. The message is stored unchanged."""

    path: RequiredText
    message: RequiredText
    author: RequiredText
    email: RequiredText
    allow_empty: bool | None = False


class PullRequest(msgspec.Struct, frozen=True):
    """A branch to pull; default: the upstream of the current branch, or that name on origin."""

    path: RequiredText
    username: SingleLine | None = None
    password: SingleLine | None = None
    branch: Text | None = None
    remote: Text | None = None


class PushRequest(msgspec.Struct, frozen=True):
    """A branch to push; by default the current branch, to ``origin``."""

    path: RequiredText
    username: SingleLine | None = None
    password: SingleLine | None = None
    branch: Text | None = None
    remote: Text | None = None
    set_upstream: bool | None = False


class InitRequest(msgspec.Struct, frozen=True):
    """A repository to create; an existing one is left unchanged."""

    path: RequiredText
    bare: bool | None = False
    initial_branch: Text | None = None


class ResetRequest(msgspec.Struct, frozen=True):
    """A commit to reset to, and the mode; ``files`` require mode ``mixed``."""

    path: RequiredText
    mode: ResetMode | None = "mixed"
    target: Text | None = None
    files: list[RequiredText] | None = None


class RestoreRequest(msgspec.Struct, frozen=True):
    """Files to restore: in the index if ``staged``, in the working tree by default."""

    path: RequiredText
    files: Annotated[list[RequiredText], Meta(min_length=1)]
    staged: bool | None = None
    worktree: bool | None = None
    source: Text | None = None
    """A commit; by default the index, or HEAD where the index is restored."""


class AddRemoteRequest(msgspec.Struct, frozen=True):
    """A remote to add; ``overwrite`` changes the URL of an existing one.

    Credentials in the URL are used for this request only and not stored.
    """

    path: RequiredText
    name: RequiredText
    url: RequiredText
    fetch: bool | None = False
    overwrite: bool | None = False


class ConfigQuery(msgspec.Struct, frozen=True):
    """A key such as ``user.name``; scope ``local`` requires ``path``."""

    key: RequiredText
    scope: Scope = "global"
    path: Text = ""


class SetConfigRequest(msgspec.Struct, frozen=True):
    """A key and its new value, which replaces all existing ones."""

    key: RequiredText
    value: Text
    scope: Scope | None = "global"
    path: Text | None = None


class ConfigureUserRequest(msgspec.Struct, frozen=True):
    """``user.name`` and ``user.email``."""

    name: RequiredText
    email: RequiredText
    scope: Scope | None = "global"
    path: Text | None = None


class CredentialsRequest(msgspec.Struct, frozen=True):
    """Credentials for a host, to be stored in plain text in the user's home directory."""

    username: RequiredLine
    password: RequiredLine
    host: SingleLine | None = "github.com"
    protocol: SingleLine | None = "https"
