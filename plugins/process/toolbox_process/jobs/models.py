"""Bodies of the job operations."""

from __future__ import annotations

import signal
from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta

from toolbox.errors import BadRequest
from toolbox_process.models import Environment
from toolbox_process.models import Seconds

MAX_PIECE = 4 * 1024 * 1024
"""Maximum bytes of output in one response."""

StreamName = Literal["stdout", "stderr"]


class StartJobRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A command that outlives the request. Two requests with the same ``id`` run it once.

    With ``stdin`` it reads the input it is sent; without, its input is empty.
    """

    command: str
    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,128}$")] | None = None
    cwd: str | None = None
    envs: Environment | None = None
    timeout: Seconds | None = None
    stdin: bool = False


class JobInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A job, running or ended. Times are RFC 3339.

    ``outputStart`` and ``outputEnd`` are the offsets of the first byte still kept and after the
    last.
    """

    id: str
    kind: str
    command: str
    started_at: str
    output_start: int
    output_end: int
    done: bool
    pid: int | None = None
    ended_at: str | None = None
    exit_code: int | None = None
    reason: str | None = None


class JobList(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs, the oldest first."""

    jobs: list[JobInfo]


class OutputQuery(msgspec.Struct, frozen=True, kw_only=True):
    """At most ``limit`` bytes from ``offset`` on, as base64, or as text with replacements for what
    isn't UTF-8.
    """

    offset: Annotated[int, Meta(ge=0)] = 0
    limit: Annotated[int, Meta(ge=1, le=MAX_PIECE)] = 1024 * 1024
    encoding: Literal["base64", "text"] = "base64"


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """Contiguous output of one stream."""

    offset: int
    stream: StreamName
    data: str


class JobOutput(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Output by offset. ``gap`` bytes after the requested offset are no longer kept.

    ``done`` if the job has ended and this reaches the end of its output.
    """

    pieces: list[Piece]
    next_offset: int
    gap: int
    done: bool


class WaitQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Maximum seconds to wait."""

    timeout: Annotated[float, Meta(ge=0, le=3600)] = 60.0


class SignalRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A signal by name (``TERM`` or ``SIGTERM``) or number, for the first process or for all."""

    signal: str | int
    tree: bool = False

    def number(self) -> int:
        """Return the signal's number. Raises BadRequest for an unknown signal."""
        try:
            # Signals() refuses numbers that this platform doesn't have.
            if isinstance(self.signal, int):
                return signal.Signals(self.signal)
            return signal.Signals["SIG" + self.signal.upper().removeprefix("SIG")]
        except (ValueError, KeyError):
            raise BadRequest(f"unknown signal: {self.signal!r}") from None


class StdinQuery(msgspec.Struct, frozen=True, kw_only=True):
    """With ``eof`` the job sees the end of its input after the data."""

    eof: bool = False
