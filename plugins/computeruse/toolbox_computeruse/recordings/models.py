"""Requests and responses of the operations on recordings."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta


class Recording(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A recording of the screen. Times are RFC 3339; fields not known yet are left out."""

    id: str
    file_name: str
    file_path: str
    start_time: str
    status: Literal["recording", "completed", "failed"]
    end_time: str | None = None
    duration_seconds: float | None = None
    size_bytes: int | None = None


class Recordings(msgspec.Struct, frozen=True):
    """Recordings, active ones first."""

    recordings: list[Recording]


class StartRecordingRequest(msgspec.Struct, frozen=True):
    """A label, which becomes part of the file name."""

    label: str | None = None


class StopRecordingRequest(msgspec.Struct, frozen=True):
    """The recording to stop."""

    id: Annotated[str, Meta(min_length=1)]


class RecordingLink(msgspec.Struct, frozen=True):
    """A link to a recording, relative to the service; it ``expires`` in seconds since the epoch."""

    url: str
    expires: int


class PlayQuery(msgspec.Struct, frozen=True):
    """A recording, and the signature of a link to it."""

    id: str
    expires: str = ""
    signature: str = ""
