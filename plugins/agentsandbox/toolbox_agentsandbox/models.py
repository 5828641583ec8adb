"""Bodies and queries of the runtime's operations."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta

ROOT = "/agentsandbox"

TIMED_OUT = 124
"""The exit code of a command that exceeded its time limit, as timeout(1) has it."""


class ExecuteRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A command for the shell, and the seconds it may run."""

    command: str
    timeout_seconds: Annotated[float, Meta(gt=0, le=2**32 - 1)] | None = None


class ExecutionResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result; of a command that was killed for its time, with what it had written until then.

    The exit code is 128 + n after signal n, 124 after the time, -1 if it could not be started.
    """

    stdout: str
    stderr: str
    exit_code: int
    timed_out: bool = False


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A remark on what was done."""

    message: str


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The runtime's state."""

    status: str = "ok"


class Existence(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a question for a file or directory."""

    path: str
    exists: bool


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a directory."""

    name: str
    size: int
    type: Literal["file", "directory"]
    mod_time: float
    """Seconds since 1970."""


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a directory, as KEP-539.2 has it."""

    name: str
    size: int
    type: Literal["file", "directory", "other"]
    mode: str
    """The permission bits, in four octal digits."""
    modified_at: str
    """RFC 3339."""


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """The entries of a directory."""

    path: str
    entries: list[FileEntry]


class DeleteQuery(msgspec.Struct, frozen=True, kw_only=True):
    """With ``recursive=true`` a directory is deleted with its content."""

    recursive: bool = False


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """The runtime itself."""

    name: str
    version: str
    root: str
