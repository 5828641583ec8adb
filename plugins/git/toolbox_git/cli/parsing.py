"""Parsers of git's machine-readable output."""

from __future__ import annotations

import re

from toolbox_git.models import Change
from toolbox_git.models import CommitInfo
from toolbox_git.models import FileStatus
from toolbox_git.models import GitStatus
from toolbox_git.names import to_text

# Renames are not detected: a rename would be one entry with two names, where the response has one
# name per entry. Of submodules only new commits count, since "dirty" would run git in each.
STATUS = (
    "status",
    "--porcelain=v2",
    "-z",
    "--branch",
    "--untracked-files=all",
    "--no-renames",
    "--ignore-submodules=dirty",
)
LOG = ("log", "-z", "--no-show-signature", "--format=%H%x00%an%x00%ae%x00%aI%x00%B")

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]([01]\d|2[0-3]):[0-5]\d)", re.ASCII)

_LETTERS: dict[str, Change] = {
    ".": "Unmodified",
    "M": "Modified",
    "T": "Modified",
    "A": "Added",
    "D": "Deleted",
    "R": "Renamed",
    "C": "Copied",
    "U": "Updated but unmerged",
}


def parse_status(output: bytes) -> GitStatus:
    """Parse the output of :data:`STATUS` (git-status(1), "Porcelain Format Version 2")."""
    head: dict[bytes, bytes] = {}
    files: dict[bytes, FileStatus] = {}
    for record in output.split(b"\0"):
        kind = record[:1]
        if kind == b"#":
            name, _, value = record[2:].partition(b" ")
            head[name] = value
        elif kind in (b"1", b"u"):
            # "1 XY sub mH mI mW hH hI path"; "u XY sub m1 m2 m3 mW h1 h2 h3 path"
            path = record.split(b" ", 8 if kind == b"1" else 10)[-1]
            index, tree = chr(record[2]), chr(record[3])
            files[path] = _file(path, _LETTERS[index], _LETTERS[tree])
        elif kind == b"?":
            # A file staged as deleted that still exists is listed twice; this entry wins.
            files[record[2:]] = _file(record[2:], "Untracked", "Untracked")
    branch = head.get(b"branch.head", b"")
    detached = branch == b"(detached)"
    # This header exists only if the upstream does.
    ahead, behind = (head.get(b"branch.ab") or b"+0 -0").split()
    return GitStatus(
        current_branch="HEAD" if detached else to_text(branch),
        file_status=[files[path] for path in sorted(files)],
        branch_published=b"branch.ab" in head,
        ahead=int(ahead),
        behind=-int(behind),
        detached=detached,
        upstream=to_text(head.get(b"branch.upstream", b"")),
    )


def _file(path: bytes, staging: Change, worktree: Change) -> FileStatus:
    return FileStatus(name=to_text(path), staging=staging, worktree=worktree)


def parse_log(output: bytes) -> list[CommitInfo]:
    """Parse the output of :data:`LOG`: five fields per commit."""
    fields = output.decode("utf-8", "replace").split("\0")
    return [
        CommitInfo(
            hash=fields[start],
            author=fields[start + 1],
            email=fields[start + 2],
            timestamp=_timestamp(fields[start + 3]),
            message=fields[start + 4],
        )
        for start in range(0, len(fields) - 4, 5)
    ]


def _timestamp(text: str) -> str:
    # A commit may contain any date and offset, or none, for which git prints ``%aI`` itself.
    return text.replace("+00:00", "Z") if _RFC3339.fullmatch(text) else "1970-01-01T00:00:00Z"
