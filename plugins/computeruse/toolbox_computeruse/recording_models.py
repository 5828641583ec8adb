"""What the operations on recordings take and answer."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta


class Recording(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A film of the screen. Times are RFC 3339; what isn't known yet is left out."""

    id: str
    file_name: str
    file_path: str
    start_time: str
    status: Literal["recording", "completed", "failed"]
    end_time: str | None = None
    duration_seconds: float | None = None
    size_bytes: int | None = None


class Recordings(msgspec.Struct, frozen=True):
    """Recordings, those being made first."""

    recordings: list[Recording]


class StartRecordingRequest(msgspec.Struct, frozen=True):
    """A label, which becomes part of the file's name."""

    label: str | None = None


class StopRecordingRequest(msgspec.Struct, frozen=True):
    """The recording to end."""

    id: Annotated[str, Meta(min_length=1)]
