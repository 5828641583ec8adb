"""The history, read from dulwich's object store.

dulwich's own walker parses each commit completely, hashes it several times, and looks for grafts
and a commit graph on disk for each: it takes five times as long.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from datetime import timezone
from functools import lru_cache
from heapq import heappop
from heapq import heappush
from itertools import islice

from dulwich.objects import Commit
from dulwich.objects import ObjectID
from dulwich.repo import Repo
from dulwich.repo import parse_graftpoints

from toolbox_git.dulwich.revisions import head_of
from toolbox_git.models import CommitInfo

_BEGINNING = re.compile(rb"tree [0-9a-f]+\n((?:parent [0-9a-f]+\n)*)")
_AUTHOR = re.compile(rb"^author (.*)", re.MULTILINE)
_COMMITTER = re.compile(rb"^committer (.*)", re.MULTILINE)
_ENCODING = re.compile(rb"^encoding (.*)", re.MULTILINE)
_IDENTITY = re.compile(rb"(.*?) ?<([^<>]*)>?")
_WHEN = re.compile(rb"(-?[0-9]+) ([+-]?)([0-9]{1,8})$")


def history(repo: Repo, limit: int | None) -> list[CommitInfo]:
    """Return the commits of HEAD, newest first, and at most ``limit``."""
    head = head_of(repo)
    return [] if head is None else list(islice(_walk(repo, head), limit))


def _walk(repo: Repo, head: bytes) -> Iterator[CommitInfo]:
    """Yield commits by commit time, and those of the same time in the order found, as git does."""
    store = repo.object_store
    other_parents = _grafts(repo)
    pending: list[tuple[int, int, bytes, bytes]] = []
    seen: set[bytes] = set()

    def found(commits: list[bytes]) -> None:
        for sha in commits:
            if sha not in seen:
                seen.add(sha)
                kind, raw = store.get_raw(ObjectID(sha))
                if kind != Commit.type_num:
                    raise ValueError(f"{sha.decode('ascii')} is not a commit")
                seconds, _ = _when(_COMMITTER, raw)
                # A heap sorts by the smallest: the newest commit has the most negative time.
                heappush(pending, (-seconds, len(seen), sha, raw))

    found([head])
    while pending:
        _, _, sha, raw = heappop(pending)
        yield commit_info(sha, raw)
        if sha in other_parents:
            found(other_parents[sha])
        elif beginning := _BEGINNING.match(raw):
            found(beginning[1].split()[1::2])


def _grafts(repo: Repo) -> dict[bytes, list[bytes]]:
    """Return parents that replace those in commits: grafts, and the ends of shallow clones."""
    found: dict[bytes, list[bytes]] = {}
    for name in ("info/grafts", "shallow"):
        file = repo.get_named_file(name, basedir=repo.commondir())
        if file is not None:
            with file:
                for sha, parents in parse_graftpoints(file).items():
                    found[sha] = [bytes(parent) for parent in parents]
    return found


def commit_info(sha: bytes, raw: bytes) -> CommitInfo:
    """Return a commit, by its hash and its content, as clients are shown it."""
    head, _, message = raw.partition(b"\n\n")
    encoding = _line(_ENCODING, head).decode("ascii", "replace") or "utf-8"
    author = _line(_AUTHOR, head)
    match = _IDENTITY.match(author)
    name, email = (match[1], match[2]) if match else (_WHEN.sub(b"", author).strip(), b"")
    return CommitInfo(
        hash=sha.decode("ascii"),
        author=_decode(name, encoding),
        email=_decode(email, encoding),
        message=_decode(message, encoding),
        timestamp=_timestamp(*_when(_AUTHOR, head)),
    )


def _line(field: re.Pattern[bytes], head: bytes) -> bytes:
    match = field.search(head)
    return match[1] if match else b""


def _when(field: re.Pattern[bytes], head: bytes) -> tuple[int, int]:
    """Return seconds since the epoch and the UTC offset in seconds; 0 if the field is malformed."""
    match = _WHEN.search(_line(field, head))
    if match is None:
        return 0, 0
    # The offset is written as digits of hours and minutes: +0530 (git-commit(1), DATE FORMATS).
    hours, minutes = divmod(int(match[3]), 100)
    offset = hours * 3600 + minutes * 60
    return int(match[1]), -offset if match[2] == b"-" else offset


def _decode(text: bytes, encoding: str) -> str:
    try:
        return text.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return text.decode("utf-8", "replace")


# A history has many commits and few offsets.
@lru_cache
def _zone(offset: int) -> timezone:
    return timezone(timedelta(seconds=offset)) if offset else UTC


def _timestamp(seconds: int, offset: int) -> str:
    try:
        text = datetime.fromtimestamp(seconds, _zone(offset)).isoformat()
    except (ValueError, OverflowError, OSError):
        # A commit may contain any date and offset.
        text = datetime.fromtimestamp(0, UTC).isoformat()
    return text.replace("+00:00", "Z")
