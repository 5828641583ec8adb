"""Types that arguments of several tools have."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Path = Annotated[
    str, Meta(min_length=1, description="Path, absolute or from the working directory.")
]
Count = Annotated[int, Meta(ge=1, le=10_000_000)]


class Arguments(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """Arguments of a tool: a name that it doesn't have is a mistake that the model should see."""


class OnePath(Arguments, frozen=True, kw_only=True):
    """A file or directory."""

    path: Path
