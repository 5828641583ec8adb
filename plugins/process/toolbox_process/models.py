"""Types and bodies that the operations of several nouns share."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta

Seconds = Annotated[int, Meta(ge=0, le=2**32 - 1)]
"""Whole seconds; 0 means no limit."""

Environment = dict[str, str | None]
"""Variables added to the service's own; null is the empty string."""


Encoding = Literal["text", "base64"]

PreviewText = Annotated[str, Meta(pattern=r"^[0-9]{1,7},[0-9]{1,7}$")]
"""Bytes from the beginning and from the end, as in ``2000,4000``."""


class StreamPreview(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Both ends of a stream of ``bytes`` bytes. If all of it fits, ``head`` is all.

    As text, bytes that aren't UTF-8 are U+FFFD, and ``replaced`` is true; a character that a cut
    goes through is left out. As base64 the bytes are what the program wrote. ``headBytes`` and
    ``tailBytes`` count bytes before decoding, ``omitted`` those between them.
    """

    bytes: int
    head: str
    tail: str
    head_bytes: int
    tail_bytes: int
    omitted: int
    replaced: bool


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of a job and everything it starts.

    ``cpu`` is in cores, ``memory`` in bytes, ``pids`` counts processes and threads. They hold for
    the whole job where the service may make a control group. Elsewhere ``memory`` is a limit of
    each process (RLIMIT_DATA), ``pids`` one of the user (RLIMIT_NPROC), and ``cpu`` whole cores
    that the job may run on. The job says which it was.
    """

    cpu: Annotated[float, Meta(ge=0.01, le=4096)] | None = None
    memory: Annotated[int, Meta(ge=1 << 20, le=1 << 60)] | None = None
    pids: Annotated[int, Meta(ge=1, le=1 << 22)] | None = None

    def given(self) -> dict[str, float]:
        """Return the limits that are given, by their names."""
        named = {"cpu": self.cpu, "memory": self.memory, "pids": self.pids}
        return {name: value for name, value in named.items() if value is not None}


MAX_PIECE = 4 * 1024 * 1024
"""Maximum bytes of output in one response."""


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """Contiguous output of one stream, as base64 or as text."""

    offset: int
    stream: Literal["stdout", "stderr"]
    data: str


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A remark on what was done."""

    message: str
