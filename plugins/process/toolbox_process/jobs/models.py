"""Bodies of the job operations."""

from __future__ import annotations

import signal
from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta

from toolbox.errors import BadRequest
from toolbox_process.models import MAX_PIECE
from toolbox_process.models import Encoding
from toolbox_process.models import Environment
from toolbox_process.models import Limits
from toolbox_process.models import Piece
from toolbox_process.models import PreviewText
from toolbox_process.models import Seconds
from toolbox_process.models import StreamPreview

Characters = Annotated[int, Meta(ge=1, le=1000)]

JobId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,128}(?![\s\S])")]
"""Id that a client chooses. Its pattern doesn't end with ``$``, which ignores a line end."""


class TerminalSize(msgspec.Struct, frozen=True, kw_only=True):
    """The size of a job's terminal, in characters."""

    rows: Characters = 24
    cols: Characters = 80


class StartJobRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A program that outlives the request. Two requests with the same ``id`` run it once.

    It is a ``command`` of the shell, or the program and arguments in ``argv``. It reads ``input``,
    of any size that fits into the request, and with ``stdin`` what it is sent after that; without
    either its input is empty. The whole output is also written to ``outputFile``, a path as of
    ``cwd``, until the job ends. ``user`` is a name or ``uid:gid``. With ``pty`` it has a terminal,
    and one stream.
    """

    command: str | None = None
    argv: Annotated[list[str], Meta(min_length=1)] | None = None
    id: JobId | None = None
    cwd: str | None = None
    envs: Environment | None = None
    timeout: Seconds | None = None
    stdin: bool = False
    input: str | None = None
    input_encoding: Literal["text", "base64"] = "text"
    output_file: Annotated[str, Meta(min_length=1)] | None = None
    user: str | None = None
    limits: Limits | None = None
    pty: TerminalSize | None = None


class PreviewQuery(msgspec.Struct, frozen=True, kw_only=True):
    """``preview`` asks for both ends of the output, in bytes: ``2000,4000``.

    ``encoding`` is that of the preview: text, with U+FFFD for bytes that aren't UTF-8, or base64.
    """

    preview: PreviewText | None = None
    encoding: Encoding = "text"


class StartQuery(PreviewQuery, frozen=True, kw_only=True):
    """Maximum seconds to ``wait`` for the end, and the preview."""

    wait: Annotated[float, Meta(ge=0, le=3600)] = 0.0


class AppliedLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A limit, and how it is enforced: by a control group (cgroup), by a limit of each process or
    of the user (rlimit), by the cores that may be used (affinity), or not at all (none).
    """

    value: float
    by: str


class OutputFile(msgspec.Struct, frozen=True, kw_only=True):
    """The file with the whole output. An ``error`` is the reason why bytes after the first
    ``bytes`` are missing, or that the file is no longer there.
    """

    path: str
    bytes: int
    error: str | None = None


class JobInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A job, running or ended. Times are RFC 3339.

    ``outputStart`` and ``outputEnd`` are the offsets of the first byte still kept and after the
    last. ``duration`` is in seconds, so far or in all. ``stdout``, ``stderr`` and ``output``, both
    in the order they came, are there if a preview was asked for.
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
    duration: float = 0.0
    limits: dict[str, AppliedLimit] | msgspec.UnsetType = msgspec.UNSET
    output_file: OutputFile | msgspec.UnsetType = msgspec.UNSET
    stdout: StreamPreview | msgspec.UnsetType = msgspec.UNSET
    stderr: StreamPreview | msgspec.UnsetType = msgspec.UNSET
    output: StreamPreview | msgspec.UnsetType = msgspec.UNSET


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


class JobOutput(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Output by offset. ``gap`` bytes after the requested offset are no longer kept.

    ``done`` if the job has ended and this reaches the end of its output.
    """

    pieces: list[Piece]
    next_offset: int
    gap: int
    done: bool


class WaitQuery(PreviewQuery, frozen=True, kw_only=True):
    """Maximum seconds to wait, and the preview."""

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


class StreamQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The ``offset`` of the output to begin at.

    The job's output is kept for a client that is slow; with ``flow=wait`` the job waits for it
    instead, once it is 1 MiB behind, as it would for the reader of a pipe.
    """

    offset: Annotated[int, Meta(ge=0)] = 0
    flow: Literal["keep", "wait"] = "keep"


class StdinQuery(msgspec.Struct, frozen=True, kw_only=True):
    """With ``eof`` the job sees the end of its input after the data."""

    eof: bool = False
