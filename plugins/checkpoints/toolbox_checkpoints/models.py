"""Bodies of the operations. Times are RFC 3339."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta

MAX_PATHS = 1000
MAX_DIFF = 16 * 1024 * 1024
"""Maximum bytes of text in a response."""

Path = Annotated[str, Meta(min_length=1, max_length=4096)]
Wait = Annotated[
    float, Meta(ge=0, le=3600, description="Maximum seconds to wait for the end of the work.")
]


class CreateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A directory to copy. ``exclude`` are patterns as in a ``.gitignore`` there."""

    path: Path
    label: Annotated[str, Meta(max_length=256)] = ""
    exclude: Annotated[list[Annotated[str, Meta(max_length=1024)]], Meta(max_length=MAX_PATHS)] = []


class WaitQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The work goes on after that, and if the client disconnects."""

    wait: Wait = 600.0


class GetQuery(msgspec.Struct, frozen=True, kw_only=True):
    """By default the response is immediate."""

    wait: Wait = 0.0


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A restore, or a fork to ``path``.

    ``files`` and ``bytes`` have been copied so far. ``written`` and ``removed`` are files and whole
    trees.
    """

    kind: Literal["restore", "fork"]
    path: str
    complete: bool
    started: str
    files: int = 0
    bytes: int = 0
    written: int = 0
    removed: int = 0
    error: str | None = None


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A checkpoint. ``files`` and ``size`` grow until it is ``complete``.

    It is ``consistent`` if it is the directory at one moment. Otherwise ``changed`` are the paths
    that were changed while they were copied, each time it was tried; at most 1000 of
    ``changedCount``. ``stored`` are bytes that are not shared with earlier ones. ``skipped`` are
    the numbers of entries that it leaves out, by reason. ``error`` is the reason for which it
    could not be made. ``works`` are the latest on it.
    """

    id: str
    path: str
    label: str
    exclude: list[str]
    created: str
    complete: bool
    consistent: bool | None = None
    files: int = 0
    directories: int = 0
    size: int = 0
    stored: int = 0
    skipped: dict[str, int] = {}
    changed: list[str] = []
    changed_count: int = 0
    error: str | None = None
    works: list[Work] = []


class CheckpointList(msgspec.Struct, frozen=True, kw_only=True):
    """Checkpoints, the oldest first, without the paths of what changed."""

    checkpoints: list[Checkpoint]


class RestoreRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The paths to restore, relative to the directory; all of it without any."""

    paths: Annotated[list[Path], Meta(max_length=MAX_PATHS)] = []


class ForkRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The directory to make, whose parent exists. It may be there if it is empty."""

    path: Path


class DiffQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Differences from the checkpoint to the directory now, or to another checkpoint, ``against``.

    ``path`` chooses what is compared, relative to the directory. At most ``files`` files are
    listed, with at most ``bytes`` of text.
    """

    against: str = ""
    path: list[Path] = []
    files: Annotated[int, Meta(ge=1, le=100_000)] = 1000
    bytes: Annotated[int, Meta(ge=0, le=MAX_DIFF)] = 256 * 1024


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """An entry on one side. ``mode`` is octal."""

    type: Literal["file", "directory", "symlink", "other"]
    mode: str
    size: int


class FileChange(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that differs: it was added or deleted, or its content, its type or its mode changed.

    ``mode`` is also another owner.
    """

    path: str
    change: Literal["added", "deleted", "changed", "type", "mode"]
    before: Side | None
    after: Side | None


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """Differences, by path; ``total`` is the number of all.

    ``diff`` is a unified diff as git writes it, of whole files. ``truncated`` if not all are
    listed, or have their text.
    """

    files: list[FileChange]
    total: int
    diff: str
    truncated: bool
