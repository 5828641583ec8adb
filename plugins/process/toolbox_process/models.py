"""Types and bodies that the operations of several nouns share."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Seconds = Annotated[int, Meta(ge=0, le=2**32 - 1)]
"""Whole seconds; 0 means no limit."""

Environment = dict[str, str | None]
"""Variables added to the service's own; null is the empty string."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A remark on what was done."""

    message: str
