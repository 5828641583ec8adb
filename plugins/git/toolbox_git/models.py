"""What the git operations take and answer.

In what is taken, ``null`` is the same as an absent field: SDKs send either.
"""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta

from toolbox.clients import since

RequiredText = Annotated[str, Meta(min_length=1, pattern=r"^[^\x00]*\Z")]
Text = Annotated[str, Meta(pattern=r"^[^\x00]*\Z")]
SingleLine = Annotated[str, Meta(pattern=r"^[^\x00\r\n]*\Z")]
"""Credentials: git's own protocol for them is made of lines."""
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
    """The repository meant: its top directory. A relative path starts in the working directory."""

    path: RequiredText


class FileStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One file that isn't as HEAD and the index have it."""

    name: str
    """Relative to the top directory, with ``/``."""
    staging: Change
    """The index against HEAD."""
    worktree: Change
    """The working tree against the index."""
    extra: str = ""


class GitStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A repository's branch and the files that are not clean, sorted by name."""

    current_branch: str
    """Its short name, also before its first commit; ``HEAD`` if HEAD is detached."""
    file_status: list[FileStatus]
    branch_published: bool = False
    """Whether the branch has an upstream that is there."""
    ahead: int = 0
    behind: int = 0
    detached: Annotated[bool, since(0, 188)] = False
    upstream: Annotated[str, since(0, 188)] = ""
    """The tracking branch, ``origin/main``; empty without one."""


class CommitInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One commit."""

    hash: str
    author: str
    email: str
    message: str
    timestamp: str
    """Author date, RFC 3339, with the offset it was written with."""


class CommitResult(msgspec.Struct, frozen=True):
    """The commit made."""

    hash: str


class Branches(msgspec.Struct, frozen=True):
    """Local branches, sorted; ``current`` is empty if HEAD is detached."""

    branches: list[str]
    current: Annotated[str, since(0, 188)]


class Remote(msgspec.Struct, frozen=True):
    """A remote and the URL it is fetched from."""

    name: str
    url: str


class Remotes(msgspec.Struct, frozen=True):
    """The remotes of a repository, sorted by name."""

    remotes: list[Remote]


class ConfigValue(msgspec.Struct, frozen=True):
    """The value of a key; None if it isn't set. The last one if there are several."""

    value: str | None


class AddRequest(msgspec.Struct, frozen=True):
    """What to stage: files and directories, by literal name; deletions are staged too."""

    path: RequiredText
    files: list[RequiredText]


class BranchRequest(msgspec.Struct, frozen=True):
    """A branch of a repository."""

    path: RequiredText
    name: RequiredText


class CheckoutRequest(msgspec.Struct, frozen=True):
    """A local branch, a branch of a remote, or any name of a commit, in this order."""

    path: RequiredText
    branch: RequiredText


class CloneRequest(msgspec.Struct, frozen=True):
    """What to clone, to where, and how much of it."""

    url: RequiredText
    path: RequiredText
    branch: Text | None = None
    commit_id: Text | None = None
    """A commit to check out, detached; at least four hexadecimal digits."""
    username: SingleLine | None = None
    password: SingleLine | None = None
    insecure_skip_tls: bool | None = False
    depth: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    """Commits to take of each branch; all without it."""


class CommitRequest(msgspec.Struct, frozen=True):
    """A commit of what is staged. The message is stored as it is."""

    path: RequiredText
    message: RequiredText
    author: RequiredText
    email: RequiredText
    allow_empty: bool | None = False


class PullRequest(msgspec.Struct, frozen=True):
    """What to pull; by default the upstream of the current branch, else origin's of its name."""

    path: RequiredText
    username: SingleLine | None = None
    password: SingleLine | None = None
    branch: Text | None = None
    remote: Text | None = None


class PushRequest(msgspec.Struct, frozen=True):
    """What to push; by default the current branch, to ``origin``."""

    path: RequiredText
    username: SingleLine | None = None
    password: SingleLine | None = None
    branch: Text | None = None
    remote: Text | None = None
    set_upstream: bool | None = False


class InitRequest(msgspec.Struct, frozen=True):
    """Where to make a repository. One that is there is left as it is."""

    path: RequiredText
    bare: bool | None = False
    initial_branch: Text | None = None


class ResetRequest(msgspec.Struct, frozen=True):
    """Where to set HEAD, and what else follows; ``files`` go with mode ``mixed`` only."""

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
    """A remote to add; ``overwrite`` changes the URL of one that is there. Credentials in the URL
    are for this once: they are not kept.
    """

    path: RequiredText
    name: RequiredText
    url: RequiredText
    fetch: bool | None = False
    overwrite: bool | None = False


class ConfigQuery(msgspec.Struct, frozen=True):
    """A key such as ``user.name``; ``path`` is needed for scope ``local``."""

    key: RequiredText
    scope: Scope = "global"
    path: Text = ""


class SetConfigRequest(msgspec.Struct, frozen=True):
    """A key and its new and only value."""

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
    """Credentials for a host, to be kept in plain text in the user's home."""

    username: RequiredLine
    password: RequiredLine
    host: SingleLine | None = "github.com"
    protocol: SingleLine | None = "https"
