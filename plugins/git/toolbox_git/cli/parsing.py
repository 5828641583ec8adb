"""Reading what git prints for programs."""

from __future__ import annotations

import re

from toolbox_git.models import Change
from toolbox_git.models import CommitInfo
from toolbox_git.models import FileStatus
from toolbox_git.models import GitStatus
from toolbox_git.names import to_text

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
    """The status that :data:`STATUS` prints (git-status(1), "Porcelain Format Version 2")."""
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
            # One that is staged as deleted and still there is listed twice.
            files[record[2:]] = _file(record[2:], "Untracked", "Untracked")
    branch = head.get(b"branch.head", b"")
    detached = branch == b"(detached)"
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
    """The commits that :data:`LOG` prints."""
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
    # A commit may claim any date and offset, or none: then git prints the format itself.
    return text.replace("+00:00", "Z") if _RFC3339.fullmatch(text) else "1970-01-01T00:00:00Z"
