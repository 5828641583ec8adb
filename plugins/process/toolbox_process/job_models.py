"""What the job operations take and answer."""

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
"""Bytes of output in one answer at most."""

StreamName = Literal["stdout", "stderr"]


class StartJobRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A command that outlives the request. Asked for twice under one ``id``, it is run once.

    With ``stdin`` it reads what is sent to it, without, nothing.
    """

    command: str
    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,128}$")] | None = None
    cwd: str | None = None
    envs: Environment | None = None
    timeout: Seconds | None = None
    stdin: bool = False


class JobInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Anything that runs or has run. Times are RFC 3339; ``outputStart`` and ``outputEnd`` are the
    offsets of the first byte still kept and after the last.
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
    """From ``offset`` on, ``limit`` bytes at most; text with what isn't UTF-8 replaced, or all
    bytes as base64.
    """

    offset: Annotated[int, Meta(ge=0)] = 0
    limit: Annotated[int, Meta(ge=1, le=MAX_PIECE)] = 1024 * 1024
    encoding: Literal["base64", "text"] = "base64"


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """Output of one stream that lies together."""

    offset: int
    stream: StreamName
    data: str


class JobOutput(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Output by offset. ``gap`` bytes from the offset asked for on are no longer kept; ``done``
    if the job has ended and this reaches its end.
    """

    pieces: list[Piece]
    next_offset: int
    gap: int
    done: bool


class WaitQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds to wait at most."""

    timeout: Annotated[float, Meta(ge=0, le=3600)] = 60.0


class SignalRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A signal by name (``TERM`` or ``SIGTERM``) or number, for the first process or for all."""

    signal: str | int
    tree: bool = False

    def number(self) -> int:
        """Raises BadRequest for one there isn't."""
        try:
            if isinstance(self.signal, int):
                return signal.Signals(self.signal)
            return signal.Signals["SIG" + self.signal.upper().removeprefix("SIG")]
        except (ValueError, KeyError):
            raise BadRequest(f"there is no signal {self.signal!r}") from None


class StdinQuery(msgspec.Struct, frozen=True, kw_only=True):
    """With ``eof`` the job sees the end of its input after the data."""

    eof: bool = False
