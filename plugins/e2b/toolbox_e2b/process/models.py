"""The messages of ``process.Process``: protobuf's JSON, in which zero values are left out."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Uint32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]


class Config(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A program with its arguments."""

    cmd: str = ""
    args: list[str] = []
    envs: dict[str, str] = {}
    cwd: str | None = None


class PtySize(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal's size in characters."""

    cols: Uint32 = 0
    rows: Uint32 = 0


class Pty(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal."""

    size: PtySize | None = None


class StartRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A program to start, on a terminal if there is ``pty``."""

    process: Config | None = None
    pty: Pty | None = None
    tag: str | None = None
    stdin: bool | None = None
    """None is true: clients older than this field expect to be able to write."""


class Selector(msgspec.Struct, frozen=True, kw_only=True):
    """A process by its pid or by its tag."""

    pid: Uint32 | None = None
    tag: str | None = None


class SelectRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A process to connect to, or whose input to close."""

    process: Selector | None = None


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """Input for a process, or for one on a terminal."""

    stdin: bytes | None = None
    pty: bytes | None = None


class SendInputRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Input to write."""

    process: Selector | None = None
    input: Input | None = None


class InputData(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of a stream of input."""

    input: Input | None = None


class KeepAlive(msgspec.Struct, frozen=True):
    """A sign of life."""


class StreamInputRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a stream of input; the first names the process."""

    start: SelectRequest | None = None
    data: InputData | None = None
    keepalive: KeepAlive | None = None


class SendSignalRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A signal by its name, ``SIGNAL_SIGKILL``, or number."""

    process: Selector | None = None
    signal: str | int = 0


class UpdateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A new size for a terminal."""

    process: Selector | None = None
    pty: Pty | None = None


class ProcessInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A process that runs."""

    config: Config
    pid: int
    tag: str | None = None


class ListResponse(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The processes that run."""

    processes: list[ProcessInfo] = []


class StartEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The first event of a stream."""

    pid: int


class DataEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Output, of one of the three kinds."""

    stdout: bytes | None = None
    stderr: bytes | None = None
    pty: bytes | None = None


class EndEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The end of a process; ``exited`` unless a signal has ended it."""

    exit_code: int = 0
    exited: bool = False
    status: str = ""
    error: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of four kinds of events."""

    start: StartEvent | None = None
    data: DataEvent | None = None
    end: EndEvent | None = None
    keepalive: KeepAlive | None = None


class EventResponse(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the stream of a process."""

    event: Event
