"""Bodies of the service operations."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta

from toolbox_process.definition import Definition
from toolbox_process.models import MAX_PIECE
from toolbox_process.models import Piece

State = Literal["starting", "ready", "backoff", "stopped", "failed"]
"""``starting`` until the sign of ``ready``; ``backoff`` between a failure and the next start;
``failed`` if it has ended badly and is not started again.
"""


class ServiceInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A service as it is now. Times are RFC 3339.

    ``since`` is the time of the state, ``startedAt`` that of the last start. ``exitCode`` and
    ``reason`` are of the last end, ``message`` says more in words. ``restarts`` counts those after
    failures. Its output is one log over all runs: ``logStart`` and ``logEnd`` are the offsets of
    the first byte still kept and after the last, ``runStart`` where that of the last run begins.
    """

    name: str
    state: State
    since: str
    declared: bool
    """True if it is in the settings: it can't be changed or deleted, only started and stopped."""
    definition: Definition
    restarts: int
    log_start: int
    log_end: int
    run_start: int
    pid: int | None = None
    job_id: str | None = None
    started_at: str | None = None
    exit_code: int | None = None
    reason: str | None = None
    message: str | None = None


class ServiceList(msgspec.Struct, frozen=True, kw_only=True):
    """Services, by name."""

    services: list[ServiceInfo]


class LogQuery(msgspec.Struct, frozen=True, kw_only=True):
    """At most ``limit`` bytes from ``offset`` on, or with ``tail`` from that many bytes before the
    end, as text with replacements for what isn't UTF-8, or as base64.
    """

    offset: Annotated[int, Meta(ge=0)] = 0
    tail: Annotated[int, Meta(ge=0)] | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_PIECE)] = 1024 * 1024
    encoding: Literal["base64", "text"] = "text"


class ServiceLog(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Output by offset. ``gap`` bytes after the requested offset are no longer kept."""

    pieces: list[Piece]
    next_offset: int
    gap: int


class ReadyQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The state to wait for, and the maximum seconds."""

    awaited: Literal["ready", "stopped"] = msgspec.field(default="ready", name="for")
    timeout: Annotated[float, Meta(ge=0, le=3600)] = 60.0
