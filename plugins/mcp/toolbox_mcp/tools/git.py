"""The tools of the group ``git``: names and arguments are those of the git server, which agents
know.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta
from toolbox_git import models
from toolbox_git.backend import GitBackend

from toolbox_mcp import content
from toolbox_mcp.tool import Call
from toolbox_mcp.tool import Tool
from toolbox_mcp.tool import ToolFailure
from toolbox_mcp.tool import ToolResult
from toolbox_mcp.tools.listing import fitting

Repository = Annotated[
    str, Meta(min_length=1, description="Top directory of the repository; . is the working one.")
]
Name = Annotated[str, Meta(min_length=1)]


class InRepository(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A repository."""

    repo_path: Repository


class Add(InRepository, frozen=True, kw_only=True):
    """Files to stage."""

    files: Annotated[list[Name], Meta(min_length=1, description="Paths in the repository.")]


class Commit(InRepository, frozen=True, kw_only=True):
    """A commit to make."""

    message: Name
    author: Annotated[str, Meta(description="Name; by default that of the configuration.")] = ""
    email: Annotated[str, Meta(description="Address; by default that of the configuration.")] = ""


class Log(InRepository, frozen=True, kw_only=True):
    """Commits to show."""

    max_count: Annotated[int, Meta(ge=1, le=10_000)] = 10


class Checkout(InRepository, frozen=True, kw_only=True):
    """A branch or commit to check out."""

    branch_name: Annotated[str, Meta(min_length=1, description="Branch, or a commit.")]


class NewBranch(InRepository, frozen=True, kw_only=True):
    """A branch to make."""

    branch_name: Name


class Diff(InRepository, frozen=True, kw_only=True):
    """A commit to compare the working tree with."""

    target: Annotated[str, Meta(min_length=1, description="Branch or commit.")]


class Show(InRepository, frozen=True, kw_only=True):
    """A commit to show."""

    revision: Annotated[str, Meta(min_length=1, description="Branch or commit.")] = "HEAD"


class Commits(msgspec.Struct, frozen=True):
    """Commits, the newest first."""

    commits: list[models.CommitInfo]


def _git(call: Call) -> GitBackend:
    backend: GitBackend = call.backends["git"]
    return backend


def git_status(call: Call, arguments: InRepository) -> ToolResult:
    """Show the branch and the files that are not clean."""
    status = _git(call).status(models.RepositoryQuery(arguments.repo_path))
    files, left_out = fitting(status.file_status, _file_line, call.settings.max_text)
    head = "HEAD detached" if status.detached else f"On branch {status.current_branch}"
    if status.upstream:
        head += f", {status.ahead} ahead of and {status.behind} behind {status.upstream}"
    lines = [head, *map(_file_line, files)]
    if not files:
        lines.append("nothing to commit, working tree clean")
    if left_out:
        lines.append(f"[... {left_out} more files ...]")
    return content.structured(msgspec.structs.replace(status, file_status=files), "\n".join(lines))


def _file_line(file: models.FileStatus) -> str:
    return f"{file.name}: index {file.staging.lower()}, working tree {file.worktree.lower()}"


def git_diff_unstaged(call: Call, arguments: InRepository) -> str:
    """Compare the working tree with the index."""
    return _diff(call, models.DiffQuery(arguments.repo_path))


def git_diff_staged(call: Call, arguments: InRepository) -> str:
    """Compare the index with HEAD."""
    return _diff(call, models.DiffQuery(arguments.repo_path, "index"))


def git_diff(call: Call, arguments: Diff) -> str:
    """Compare the working tree with a commit."""
    return _diff(call, models.DiffQuery(arguments.repo_path, "worktree", arguments.target))


def _diff(call: Call, query: models.DiffQuery) -> str:
    found = _git(call).diff(query).diff
    return _within(call, found) or "no changes"


def git_show(call: Call, arguments: Show) -> str:
    """Show a commit and its changes."""
    query = models.DiffQuery(arguments.repo_path, "commit", arguments.revision)
    found = _git(call).diff(query)
    head = f"{_commit_text(found.commit)}\n" if found.commit else ""
    return _within(call, head + found.diff)


def _within(call: Call, diff: str) -> str:
    return content.shortened(diff, call.settings.max_text, "compare fewer changes")


def git_add(call: Call, arguments: Add) -> str:
    """Stage files."""
    _git(call).add(models.AddRequest(arguments.repo_path, arguments.files))
    return "Files staged successfully"


def git_commit(call: Call, arguments: Commit) -> str:
    """Commit what is staged."""
    author = arguments.author or _configured(call, arguments.repo_path, "user.name")
    email = arguments.email or _configured(call, arguments.repo_path, "user.email")
    request = models.CommitRequest(arguments.repo_path, arguments.message, author, email)
    done = _git(call).commit(request)
    return f"Changes committed successfully with hash {done.hash}"


def _configured(call: Call, path: str, key: str) -> str:
    for scope in ("local", "global", "system"):
        query = models.ConfigQuery(key, scope, path if scope == "local" else "")
        if value := _git(call).get_config(query).value:
            return value
    raise ToolFailure(f"{key} is not configured: give author and email")


def git_log(call: Call, arguments: Log) -> ToolResult:
    """Show the last commits."""
    last = _git(call).history(models.HistoryQuery(arguments.repo_path, arguments.max_count))
    shown, left_out = fitting(last, _commit_text, call.settings.max_text)
    text = "\n".join(map(_commit_text, shown)) or "no commits yet"
    if left_out:
        text += f"\n[... {left_out} commits left out; use a smaller max_count ...]"
    return content.structured(Commits(shown), text)


def _commit_text(commit: models.CommitInfo) -> str:
    message = "\n".join(f"    {line}" for line in commit.message.rstrip("\n").split("\n"))
    head = f"commit {commit.hash}\nAuthor: {commit.author} <{commit.email}>"
    return f"{head}\nDate: {commit.timestamp}\n\n{message}\n"


def git_branch(call: Call, arguments: InRepository) -> str:
    """List the local branches."""
    found = _git(call).branches(models.RepositoryQuery(arguments.repo_path))
    return "\n".join(f"{'*' if name == found.current else ' '} {name}" for name in found.branches)


def git_create_branch(call: Call, arguments: NewBranch) -> str:
    """Create a branch and check it out."""
    _git(call).create_branch(models.BranchRequest(arguments.repo_path, arguments.branch_name))
    return f"Created and checked out branch '{arguments.branch_name}'"


def git_checkout(call: Call, arguments: Checkout) -> str:
    """Check out a branch or commit."""
    _git(call).checkout(models.CheckoutRequest(arguments.repo_path, arguments.branch_name))
    return f"Switched to '{arguments.branch_name}'"


TOOLS = (
    Tool(
        name="git_status",
        description="Show the branch of a git repository and the files that have changed.",
        arguments=InRepository,
        run=git_status,
        result=models.GitStatus,
        read_only=True,
    ),
    Tool(
        name="git_diff_unstaged",
        description="Show changes of the working tree that are not staged.",
        arguments=InRepository,
        run=git_diff_unstaged,
        read_only=True,
    ),
    Tool(
        name="git_diff_staged",
        description="Show changes that are staged for the next commit.",
        arguments=InRepository,
        run=git_diff_staged,
        read_only=True,
    ),
    Tool(
        name="git_diff",
        description="Show changes of the working tree since a branch or commit.",
        arguments=Diff,
        run=git_diff,
        read_only=True,
    ),
    Tool(
        name="git_show",
        description="Show a commit: author, date, message and changes.",
        arguments=Show,
        run=git_show,
        read_only=True,
    ),
    Tool(
        name="git_add",
        description="Stage files and directories for the next commit, deletions included.",
        arguments=Add,
        run=git_add,
        idempotent=True,
    ),
    Tool(
        name="git_commit",
        description="Commit what is staged. No hooks run.",
        arguments=Commit,
        run=git_commit,
    ),
    Tool(
        name="git_log",
        description="Show the last commits of the branch, the newest first.",
        arguments=Log,
        run=git_log,
        result=Commits,
        read_only=True,
    ),
    Tool(
        name="git_branch",
        description="List the local branches; the current one has a star.",
        arguments=InRepository,
        run=git_branch,
        read_only=True,
    ),
    Tool(
        name="git_create_branch",
        description="Create a branch at the current commit and check it out.",
        arguments=NewBranch,
        run=git_create_branch,
    ),
    Tool(
        name="git_checkout",
        description="Check out a branch, a remote's branch or a commit. Refused if changes of the "
        "working tree would be lost.",
        arguments=Checkout,
        run=git_checkout,
        idempotent=True,
    ),
)
